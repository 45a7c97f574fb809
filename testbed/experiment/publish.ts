// SPDX-License-Identifier: Apache-2.0
// The part of a result directory that is small enough to keep for good: every record, and the files of the runs that the
// report draws. It is a result directory itself, for `report` and `compare`.

import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RefusedError } from '../../src/index.ts';
import type { RunRecord } from '../../src/experiment/index.ts';
import { REASONS_FILE } from './read-results.ts';

/** Which of a run's files are kept; logs never are. */
export interface Kept {
  /** Trace and series, for the report to draw. */
  readonly drawn: ReadonlySet<RunRecord>;
  /** Traces of all others, too: whoever replays migrations wants them. */
  readonly allTraces: boolean;
}

function keptFiles(
  { files }: RunRecord,
  isDrawn: boolean,
  allTraces: boolean,
): Omit<RunRecord['files'], 'logs'> {
  return { trace: isDrawn || allTraces ? files.trace : null, series: isDrawn ? files.series : null };
}

/**
 * Fills `to` from the result directory `from`.
 * @throws RefusedError when there is something in `to` already
 */
export function publishResults(
  from: string,
  to: string,
  records: readonly RunRecord[],
  { drawn, allTraces }: Kept,
): void {
  if (existsSync(to) && readdirSync(to).length > 0) {
    throw new RefusedError(`there is something in ${to} already`, {
      remedy: 'name another directory, or remove what is there',
    });
  }
  mkdirSync(to, { recursive: true });
  for (const name of ['experiment.yaml', 'machine.json', REASONS_FILE]) {
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
  }
  const kept = records.map((record) => keptFiles(record, drawn.has(record), allTraces));
  const lines = records.map((record, i) => JSON.stringify({ ...record, files: { ...kept[i], logs: [] } }));
  writeFileSync(join(to, 'runs.jsonl'), `${lines.join('\n')}\n`);
  for (const path of kept.flatMap(({ trace, series }) => [trace, series])) {
    if (path === null || !existsSync(join(from, path))) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    copyFileSync(join(from, path), join(to, path));
  }
}
