// SPDX-License-Identifier: Apache-2.0
export { COLUMNS, type RowKind, TRACE_VERSION, type TraceHeader, type TraceRow } from './rows.ts';
export { type RecordedAction, type RecordedOutcome, recordedRun, type RecordedRun } from './recorded-run.ts';
export { readTrace, type Trace } from './trace-reader.ts';
export { createTrace, nullRecorder, type Recorder, TraceWriteError } from './trace-writer.ts';
