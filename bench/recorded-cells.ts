// SPDX-License-Identifier: Apache-2.0
// Real migrations of result directories with their traces, for whoever predicts or replays them.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { latestAttempts, parseRunRecords, type RunRecord } from '../src/experiment/index.ts';
import { readTrace, recordedRun, type RecordedRun } from '../src/record/index.ts';

export interface RecordedCell {
  readonly record: RunRecord;
  readonly run: RecordedRun;
}

/** Runs that count and whose trace is there; controls and searches are not among them. */
export function recordedCells(directories: readonly string[]): RecordedCell[] {
  return directories.flatMap((directory) =>
    latestAttempts(parseRunRecords(readFileSync(join(directory, 'runs.jsonl'), 'utf8'))).flatMap((record) => {
      const { trace } = record.files;
      if (record.kind !== 'cell' || record.outcome === 'failed' || trace === null) return [];
      const path = join(directory, trace);
      if (!existsSync(path)) return [];
      return [{ record, run: recordedRun(readTrace(path), path) }];
    }),
  );
}
