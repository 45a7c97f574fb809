// SPDX-License-Identifier: Apache-2.0
// The part of a result directory that is small enough to keep for good: every record, and the files of the runs that the
// report draws. It is a result directory itself, for `report` and `compare`.

import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RefusedError } from '../../src/index.ts';
import type { RunRecord } from '../../src/experiment/index.ts';

/** Trace and series of a kept run; logs stay behind. */
function filesToKeep({ files }: RunRecord): string[] {
  return [files.trace, files.series].filter((path) => path !== null);
}

/**
 * Fills `to` from the result directory `from`. `drawn`: the records whose files are kept.
 * @throws RefusedError when there is something in `to` already
 */
export function publishResults(
  from: string,
  to: string,
  records: readonly RunRecord[],
  drawn: ReadonlySet<RunRecord>,
): void {
  if (existsSync(to) && readdirSync(to).length > 0) {
    throw new RefusedError(`there is something in ${to} already`, {
      remedy: 'name another directory, or remove what is there',
    });
  }
  mkdirSync(to, { recursive: true });
  for (const name of ['experiment.yaml', 'machine.json']) {
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
  }
  const lines = records.map((record) => {
    const kept = drawn.has(record) ? record.files : { trace: null, series: null };
    return JSON.stringify({ ...record, files: { ...kept, logs: [] } });
  });
  writeFileSync(join(to, 'runs.jsonl'), `${lines.join('\n')}\n`);
  for (const path of [...drawn].flatMap(filesToKeep)) {
    if (!existsSync(join(from, path))) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    copyFileSync(join(from, path), join(to, path));
  }
}
