// SPDX-License-Identifier: Apache-2.0
// npm run bench:silence -- [--variants ...] [--repeat 5] [--long-queue QEMU] [--results FILE]: where the milliseconds of a
// guest's silence go on the patched QEMU, and what each part of the way into post-copy takes off. `long-queue` needs a QEMU
// with the series and, after it, the one call of socket_keep_queue_short() taken out. Resumable. Prints medians; asserts nothing.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectQmp } from '../src/qmp/index.ts';
import type { Qemu } from '../testbed/index.ts';
import { ensurePatchedQemu } from '../testbed/image/index.ts';
import { linkOfRate } from '../testbed/net/link-profiles.ts';
import { DEMO_GUEST } from '../testbed/demo/demo.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { measureFloorGoodput } from '../testbed/stage/measured-run.ts';
import { Stage } from '../testbed/stage/stage.ts';
import { type Anatomy, anatomyOf, TRACED } from './anatomy.ts';
import { cell, keepRow, readRows, runTurn, turnsOf, type VariantRow } from './variant-runs.ts';

const MIB = 1024 * 1024;
const SETTLE_MS = 2000;
const onProgress = (line: string): void => void process.stderr.write(`${line}\n`);

interface Variant {
  readonly policy: string;
  /** Of the guest's memory, what it keeps rewriting. */
  readonly hotMib?: number;
  /** The switch's buffer. */
  readonly queueBytes?: number;
  readonly stock?: true;
  readonly longQueue?: true;
}

const own = (name: string): string => join(import.meta.dirname, 'policies', `${name}.mjs`);

const VARIANTS: Readonly<Record<string, Variant>> = {
  full: { policy: 'adaptive' },
  unpaced: { policy: own('unpaced') },
  'quiet-instead': { policy: own('quiet-instead') },
  'without-packing': { policy: own('without-packing') },
  // More or less of what the guest touches first, sent while it stands still, than the policy's 10 ms.
  'pack-2ms': { policy: own('pack-2ms') },
  'pack-40ms': { policy: own('pack-40ms') },
  'without-hot-first': { policy: own('without-hot-first') },
  'without-preempt': { policy: own('without-preempt') },
  'without-any': { policy: own('without-any') },
  'long-queue': { policy: 'adaptive', longQueue: true },
  stock: { policy: 'adaptive', stock: true },
  // What page requests wait for under the push: if it is the queue of the switch (4 ms of the link's rate), that shows in
  // proportion to it.
  'unpaced-2ms': { policy: own('unpaced'), queueBytes: 256 * 1024 },
  'unpaced-16ms': { policy: own('unpaced'), queueBytes: 2 * MIB },
  'full-16ms': { policy: 'adaptive', queueBytes: 2 * MIB },
  // No page is missing after RESUME: the guest warming up, and its announcement.
  'by-precopy': { policy: 'adaptive', hotMib: 8 },
};

const { values } = parseArgs({
  options: {
    variants: { type: 'string' },
    repeat: { type: 'string', default: '5' },
    'long-queue': { type: 'string' },
    results: { type: 'string', default: join(import.meta.dirname, 'results', 'silence.jsonl') },
  },
});
const longQueuePath = values['long-queue'];
const names =
  values.variants?.split(',') ??
  Object.keys(VARIANTS).filter((name) => VARIANTS[name]?.longQueue !== true || longQueuePath !== undefined);
const repeats = Number(values.repeat);

type Row = VariantRow & { readonly anatomy: Anatomy | null };

/** A run that the machine disturbed is made again. */
const undisturbed = (rows: readonly Row[]): Row[] => rows.filter(({ disturbed }) => !disturbed);

async function trace(qemu: Qemu): Promise<void> {
  await using client = await connectQmp(qemu.monitorPath);
  for (const name of TRACED) await client.executeRaw('trace-event-set-state', { name, enable: true });
}

const laboratory = await openLaboratory(onProgress);
const patchedPath = await ensurePatchedQemu({ onProgress });

function stageFor({ hotMib, queueBytes, stock, longQueue }: Variant): Promise<Stage> {
  const link = linkOfRate('lan-1g', 125_000_000);
  const qemuPath = stock === true ? undefined : longQueue === true ? longQueuePath : patchedPath;
  return Stage.create({
    laboratory,
    link: queueBytes === undefined ? link : { ...link, queueBytes },
    guest:
      hotMib === undefined
        ? DEMO_GUEST
        : { ...DEMO_GUEST, pattern: { ...DEMO_GUEST.pattern, setBytes: hotMib * MIB } },
    ...(qemuPath === undefined ? {} : { qemuPath }),
  });
}

for (const turn of turnsOf('lan-1g', names, repeats, undisturbed(readRows<Row>(values.results)))) {
  const variant = VARIANTS[turn.variant];
  if (variant === undefined) {
    throw new Error(`wanted a variant of ${Object.keys(VARIANTS).join(', ')}, got ${turn.variant}`);
  }
  const stage = await stageFor(variant);
  try {
    const goodputBytesPerSec = await measureFloorGoodput(stage);
    await stage.boot();
    const destination = await stage.addDestination();
    await trace(destination);
    await stage.settle(SETTLE_MS);
    const migrateArgs = ['--policy', variant.policy];
    const { row, run } = await runTurn(stage, turn, { goodputBytesPerSec, migrateArgs });
    const log = await readFile(destination.logPath, 'utf8');
    const { stopToResumeMs } = row;
    const [longest] = run.prober.silences;
    const anatomy =
      stopToResumeMs === null || longest === undefined ? null : anatomyOf(log, longest, stopToResumeMs);
    keepRow(values.results, { ...row, anatomy } as Row, repeats);
  } finally {
    await stage.testbed.down();
  }
}

const rows = undisturbed(readRows<Row>(values.results));
const COLUMNS: readonly [string, (row: Row) => number | null, number][] = [
  ['client ms', (row) => row.guestMs, 0],
  ['before STOP', ({ anatomy }) => anatomy?.beforeStopMs ?? null, 0],
  ['STOP to RESUME', ({ anatomy }) => anatomy?.stopToResumeMs ?? null, 0],
  ['stalled', ({ anatomy }) => anatomy?.stalledMs ?? null, 0],
  ['faults', ({ anatomy }) => anatomy?.faults ?? null, 0],
  ['ms each', ({ anatomy }) => anatomy?.faultMs ?? null, 2],
  ['running', ({ anatomy }) => anatomy?.runningMs ?? null, 0],
  ['announced after', ({ anatomy }) => anatomy?.announcedMs ?? null, 0],
  ['later faults', ({ anatomy }) => anatomy?.laterFaults ?? null, 0],
  ['ms each, later', ({ anatomy }) => anatomy?.laterFaultMs ?? null, 2],
  ['TMT x floor', (row) => (row.tmtMs === null ? null : row.tmtMs / row.floorMs), 3],
];
process.stdout.write(`| variant | n | ${COLUMNS.map(([name]) => name).join(' | ')} |\n`);
process.stdout.write(`|${'---|'.repeat(COLUMNS.length + 2)}\n`);
for (const name of names) {
  const of = rows.filter(({ variant, outcome }) => variant === name && outcome === 'completed');
  const cells = COLUMNS.map(([, pick, digits]) => cell(of, pick, digits));
  process.stdout.write(`| ${name} | ${of.length} | ${cells.join(' | ')} |\n`);
}
