// SPDX-License-Identifier: Apache-2.0
// One process of `slackwater simulate`: gets its share of the runs, hands their records back. A process and not a thread, so
// that it is started as its parent was, from the sources as from what is built.

import type { RunRecord } from '../experiment/index.ts';
import { SimulatedExperiment, type SimulationFiles } from './simulate-cells.ts';

export interface SimulationShare {
  readonly files: SimulationFiles;
  /** Places in the plan, and what the oracle's search picked for each (null for other policies). */
  readonly runs: readonly { readonly index: number; readonly setting: string | null }[];
}

async function simulateShare({ files, runs }: SimulationShare): Promise<void> {
  const simulated = new SimulatedExperiment(files);
  const records: { index: number; record: RunRecord }[] = [];
  for (const { index, setting } of runs) {
    const run = simulated.plan[index];
    if (run !== undefined) records.push({ index, record: await simulated.run(run, setting) });
  }
  process.send?.(records);
}

process.once('message', (share) => void simulateShare(share as SimulationShare));
