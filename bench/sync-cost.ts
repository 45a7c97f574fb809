// SPDX-License-Identifier: Apache-2.0
// npm run bench:sync-cost -- [--repeat 5]: what a sync of the dirty bitmap takes on our QEMU, and writing its pages into the ring
// after it, while nobody uses them: by QEMU's own clock, over the migrations of an idle and a busy guest. Prints a JSON line
// for each; asserts nothing. What it comes to in total time is asked by the experiment `passive-cost`.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { max, median, quantile } from 'simple-statistics';
import { packageRoot } from '../src/index.ts';
import { connectQmp } from '../src/qmp/index.ts';
import { DEMO_GUEST } from '../testbed/demo/demo.ts';
import { ensurePatchedQemu } from '../testbed/image/index.ts';
import { runController } from '../testbed/stage/controller.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { Stage } from '../testbed/stage/stage.ts';

const MIB = 1024 * 1024;
const SETTLE_MS = 2000;
const POLICY = join(packageRoot(), 'testbed', 'experiments', 'export-unused.mjs');
const GUESTS = {
  still: { kind: 'idle' },
  busy: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 20 * MIB },
} as const;

const { values } = parseArgs({ options: { repeat: { type: 'string', default: '5' } } });
const onProgress = (line: string): void => void process.stderr.write(`${line}\n`);

/** Of one sync, in microseconds; `migration`: false for those before it, while the guest is watched. */
interface SyncCost {
  readonly migration: boolean;
  readonly sync: number;
  readonly export: number;
}

const laboratory = await openLaboratory(onProgress);
const qemuPath = await ensurePatchedQemu({ onProgress });

async function costsOf(pattern: (typeof GUESTS)[keyof typeof GUESTS]): Promise<SyncCost[]> {
  await using stage = await Stage.create({ laboratory, qemuPath, guest: { ...DEMO_GUEST, pattern } });
  await stage.boot();
  await stage.addDestination();
  await stage.settle(SETTLE_MS);
  await using client = await connectQmp(stage.source.monitorPath);
  const costs: SyncCost[] = [];
  const events = client.events(['X_SLACKWATER_ROUND'] as readonly string[]);
  const reading = (async () => {
    for await (const event of events) costs.push(event.data as unknown as SyncCost);
  })();
  const { document } = await runController([
    ...['migrate', '--qmp', stage.source.qmpPath, '--dest-qmp', stage.destination.qmpPath],
    ...['--to', stage.uri, '--json', '--policy', POLICY],
  ]);
  events.close();
  await reading;
  if (document?.outcome !== 'completed')
    throw new Error(`the migration ended ${document?.outcome ?? 'badly'}`);
  return costs;
}

function figures(costs: readonly SyncCost[], pick: (cost: SyncCost) => number) {
  const us = costs.map(pick);
  return { median_us: median(us), p90_us: quantile(us, 0.9), max_us: max(us) };
}

for (const [guest, pattern] of Object.entries(GUESTS)) {
  const costs: SyncCost[] = [];
  for (let repeat = 0; repeat < Number(values.repeat); repeat++) costs.push(...(await costsOf(pattern)));
  for (const migration of [false, true]) {
    const of = costs.filter((cost) => cost.migration === migration);
    const row = {
      schema: 'slackwater/bench-sync-cost@1',
      guest,
      memory_mib: DEMO_GUEST.memoryMib,
      migration,
      syncs: of.length,
      sync: figures(of, (cost) => cost.sync),
      export: figures(of, (cost) => cost.export),
    };
    process.stdout.write(`${JSON.stringify(row)}\n`);
  }
}
