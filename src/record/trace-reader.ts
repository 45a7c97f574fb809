// SPDX-License-Identifier: Apache-2.0
// Reads traces back: the header, then every whole row. A trace cut short (a killed writer, a full disk) is read up to
// its last whole row and says so.

import { readFileSync } from 'node:fs';
import { decodeMulti } from '@msgpack/msgpack';
import { messageOf, UsageError } from '../common/index.ts';
import {
  COLUMNS,
  type RowKind,
  TRACE_FORMAT,
  TRACE_VERSION,
  type TraceHeader,
  type TraceRow,
} from './rows.ts';

export interface Trace {
  readonly header: TraceHeader;
  readonly rows: readonly TraceRow[];
  /** False when the file ends within a row. */
  readonly complete: boolean;
}

function isRowKind(value: unknown): value is RowKind {
  return typeof value === 'string' && value in COLUMNS;
}

/** @throws UsageError when the file cannot be read or is not a trace of this version. */
export function readTrace(path: string): Trace {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read the trace ${path}: ${messageOf(error)}`, { cause: error });
  }
  const values: unknown[] = [];
  let complete = true;
  try {
    for (const value of decodeMulti(bytes)) values.push(value);
  } catch {
    complete = false;
  }
  const [head, ...rest] = values;
  if (!Array.isArray(head) || head[0] !== TRACE_FORMAT) {
    throw new UsageError(`${path} is not a slackwater trace`, { remedy: 'name a file written by --trace' });
  }
  if (head[1] !== TRACE_VERSION) {
    throw new UsageError(
      `${path} is a trace of version ${String(head[1])}, this program reads ${TRACE_VERSION}`,
    );
  }
  // The file's own column list, so that columns added later are read too.
  const columns = head[2] as Readonly<Record<string, readonly string[]>>;
  const rows: TraceRow[] = [];
  for (const value of rest) {
    if (!Array.isArray(value)) continue;
    const [kind, atMs, ...fields] = value as unknown[];
    if (!isRowKind(kind) || typeof atMs !== 'number') continue;
    const names = columns[kind] ?? [];
    rows.push({
      type: kind,
      atMs,
      fields: Object.fromEntries(names.map((name, index) => [name, fields[index] ?? null])),
    });
  }
  return { header: head[3] as TraceHeader, rows, complete };
}
