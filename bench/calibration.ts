// SPDX-License-Identifier: Apache-2.0
// npm run bench:calibration -- DIR...: the model against real runs, cell by cell: medians of the same experiment carried out
// for real and simulated. `--each`: a line for each cell.

import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { groupBy } from '../src/common/index.ts';
import { cellKey, latestAttempts, parseRunRecords, type RunRecord } from '../src/experiment/index.ts';
import { median } from 'simple-statistics';
import { SimulatedExperiment } from '../src/cli/simulate-cells.ts';
import { p90, percent, tableOf } from './percent.ts';

type Figure = 'tmtMs' | 'transferredBytes' | 'downtimeStopToResumeMs' | 'downtimeGuestMs';

function cells(records: readonly RunRecord[]): Map<string, RunRecord[]> {
  const counting = latestAttempts(records).filter(
    ({ kind, outcome }) => kind === 'cell' && outcome !== 'failed',
  );
  return groupBy(counting, ({ guest, link, policy }) => cellKey(guest, link, policy));
}

function middle(records: readonly RunRecord[] | undefined, figure: Figure): number | null {
  const values = (records ?? []).flatMap((record) => record[figure] ?? []);
  return values.length === 0 ? null : median(values);
}

async function simulated(directory: string): Promise<RunRecord[]> {
  const model = new SimulatedExperiment({
    path: join(directory, 'experiment.yaml'),
    recordings: directory,
    repeats: null,
  });
  const settings = new Map(
    latestAttempts(parseRunRecords(readFileSync(join(directory, 'runs.jsonl'), 'utf8')))
      .filter(({ setting }) => setting !== null)
      .map((record) => [cellKey(record.guest, record.link, record.policy), record.setting]),
  );
  const runs = model.plan.filter(({ kind }) => kind === 'cell');
  const records: RunRecord[] = [];
  for (const run of runs) {
    const setting = settings.get(run.cell) ?? null;
    if (run.policy.source.kind === 'oracle' && setting === null) continue;
    records.push(await model.run(run, setting));
  }
  return records;
}

const args = process.argv.slice(2);
const directories = args.filter((arg) => !arg.startsWith('--'));
const errors: Record<Figure, number[]> = {
  tmtMs: [],
  transferredBytes: [],
  downtimeStopToResumeMs: [],
  downtimeGuestMs: [],
};
const lines: string[][] = [];
let [same, cellCount] = [0, 0];
for (const directory of directories) {
  const real = cells(parseRunRecords(readFileSync(join(directory, 'runs.jsonl'), 'utf8')));
  const model = cells(await simulated(directory));
  for (const [key, records] of real) {
    const others = model.get(key);
    const completes = (all: readonly RunRecord[] | undefined): boolean =>
      (all ?? []).filter(({ outcome }) => outcome === 'completed').length * 2 > (all?.length ?? 0);
    cellCount += 1;
    if (completes(records) === completes(others)) same += 1;
    const line = [key];
    for (const figure of Object.keys(errors) as Figure[]) {
      const [is, says] = [middle(records, figure), middle(others, figure)];
      line.push(is?.toFixed(0) ?? '-', says?.toFixed(0) ?? '-');
      if (is === null || says === null) continue;
      const isTime = figure.startsWith('downtime');
      errors[figure].push(isTime ? Math.abs(says - is) : Math.abs(says / is - 1));
    }
    lines.push(line);
  }
}
const header = ['cell', 'TMT', 'model', 'bytes', 'model', 'STOP to RESUME', 'model', 'client', 'model'];
if (args.includes('--each')) process.stdout.write(`${tableOf([header, ...lines])}\n\n`);
const ratio = (values: readonly number[]): string[] =>
  values.length === 0 ? ['-', '-'] : [percent(median([...values])), percent(p90(values))];
const times = (values: readonly number[]): string[] =>
  values.length === 0 ? ['-', '-'] : [`${median([...values]).toFixed(0)} ms`, `${p90(values).toFixed(0)} ms`];
process.stdout.write(
  `${same} of ${cellCount} cells end alike; where both complete:\n${tableOf([
    ['figure', 'cells', 'median error', 'P90'],
    ['total time', `${errors.tmtMs.length}`, ...ratio(errors.tmtMs)],
    ['bytes', `${errors.transferredBytes.length}`, ...ratio(errors.transferredBytes)],
    ['STOP to RESUME', `${errors.downtimeStopToResumeMs.length}`, ...times(errors.downtimeStopToResumeMs)],
    ['client', `${errors.downtimeGuestMs.length}`, ...times(errors.downtimeGuestMs)],
  ])}\n`,
);
