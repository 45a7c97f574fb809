// SPDX-License-Identifier: Apache-2.0
// npm run bench:ablation -- [--links 100mbit,1gbit,8gbit] [--repeat 5] [--results FILE]: what each part of the entry into
// post-copy brings on a stock QEMU. Resumable. Prints medians; asserts nothing.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from 'simple-statistics';
import { DEMO_GUEST } from '../testbed/demo/demo.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { measureFloorGoodput } from '../testbed/stage/measured-run.ts';
import { Stage } from '../testbed/stage/stage.ts';
import { cell, keepRow, readRows, runTurn, turnsOf, type VariantRow } from './variant-runs.ts';

const SETTLE_MS = 2000;
const VARIANTS = ['plain', 'drain', 'quiet', 'both', 'short'];

const { values } = parseArgs({
  options: {
    links: { type: 'string', default: '100mbit,1gbit,8gbit' },
    variants: { type: 'string', default: VARIANTS.join(',') },
    repeat: { type: 'string', default: '5' },
    results: { type: 'string', default: join(import.meta.dirname, 'results', 'ablation.jsonl') },
  },
});
const links = values.links.split(',');
const variants = values.variants.split(',');
const repeats = Number(values.repeat);

const laboratory = await openLaboratory((line) => process.stderr.write(`${line}\n`));
for (const link of links) {
  const turns = turnsOf(link, variants, repeats, readRows<VariantRow>(values.results));
  if (turns.length === 0) continue;
  // At 100 Mbit/s the same guest would take a minute a run; half of it shows the same switch.
  const guest = { ...DEMO_GUEST, memoryMib: link === '100mbit' ? 256 : DEMO_GUEST.memoryMib };
  const stage = await Stage.create({ laboratory, link, guest });
  try {
    const goodputBytesPerSec = await measureFloorGoodput(stage);
    for (const turn of turns) {
      await stage.boot();
      await stage.addDestination();
      await stage.settle(SETTLE_MS);
      const migrateArgs = [
        ...['--policy', join(import.meta.dirname, 'policies', `${turn.variant}.mjs`)],
        // Unlimited: at 8 Gbit/s QEMU's default of 128 MiB/s would be the link.
        ...['--bandwidth', '100gbit'],
      ];
      const { row } = await runTurn(stage, turn, { goodputBytesPerSec, migrateArgs });
      await stage.clear();
      keepRow(values.results, row, repeats);
    }
  } finally {
    await stage.testbed.down();
  }
}

const rows = readRows<VariantRow>(values.results);
process.stdout.write(
  '| link | variant | n | TMT ms | x floor | STOP to RESUME ms | client ms |\n|---|---|---|---|---|---|---|\n',
);
for (const link of links) {
  for (const variant of variants) {
    const of = rows.filter(
      (row) => row.link === link && row.variant === variant && row.outcome === 'completed',
    );
    const ratio =
      of.length === 0 ? '-' : median(of.map((row) => (row.tmtMs ?? NaN) / row.floorMs)).toFixed(2);
    process.stdout.write(
      `| ${link} | ${variant} | ${of.length} | ${cell(of, (row) => row.tmtMs)} | ${ratio} | ${cell(of, (row) => row.stopToResumeMs)} | ${cell(of, (row) => row.guestMs)} |\n`,
    );
  }
}
