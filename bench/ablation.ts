// SPDX-License-Identifier: Apache-2.0
// npm run bench:ablation -- [--links 100mbit,1gbit,8gbit] [--repeat 5] [--results FILE]: what each part of the entry into
// post-copy brings. The variants are interleaved (A B C D, D C B A, ...), each from a freshly booted guest. Every run is
// appended to FILE as a JSON line; a run that is there already is not repeated, so it can be stopped and gone on with.
// Prints medians; asserts nothing.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { max, median, min } from 'simple-statistics';
import { measuredMigration, measureFloorGoodput } from '../testbed/stage/measured-run.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { Stage } from '../testbed/stage/stage.ts';

const MIB = 1024 * 1024;
const SETTLE_MS = 2000;
const VARIANTS = ['plain', 'drain', 'quiet', 'both'];

interface Row {
  readonly link: string;
  readonly variant: string;
  readonly repeat: number;
  readonly outcome: string;
  readonly tmtMs: number | null;
  readonly floorMs: number;
  readonly stopToResumeMs: number | null;
  readonly guestMs: number | null;
  readonly disturbed: boolean;
  readonly coherent: boolean;
  readonly startedAt: string;
  readonly machine: string;
}

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

function readRows(): Row[] {
  if (!existsSync(values.results)) return [];
  const lines = readFileSync(values.results, 'utf8').trim().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}

async function runOne(
  stage: Stage,
  link: string,
  variant: string,
  repeat: number,
  goodput: number,
): Promise<Row> {
  await stage.boot();
  await stage.addDestination();
  await stage.settle(SETTLE_MS);
  const startedAt = new Date().toISOString();
  const run = await measuredMigration(stage, {
    goodputBytesPerSec: goodput,
    migrateArgs: [
      ...['--policy', join(import.meta.dirname, 'policies', `${variant}.mjs`)],
      // Unlimited: at 8 Gbit/s QEMU's default of 128 MiB/s would be the link.
      ...['--bandwidth', '100gbit'],
    ],
  });
  await stage.clear();
  const { document } = run.controller;
  return {
    link,
    variant,
    repeat,
    outcome: document?.outcome ?? 'none',
    tmtMs: document?.tmt_ms ?? null,
    floorMs: run.floorMs,
    stopToResumeMs: document?.downtime_stop_to_resume_ms ?? null,
    guestMs: run.guestDowntime?.silenceMs ?? null,
    disturbed: run.guestDowntime?.disturbed ?? true,
    coherent: run.coherence.coherent,
    startedAt,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
  };
}

const laboratory = await openLaboratory((line) => process.stderr.write(`${line}\n`));
for (const link of links) {
  // At 100 Mbit/s the same guest would take a minute a run; half of it shows the same switch.
  const memoryMib = link === '100mbit' ? 256 : 512;
  const done = readRows().filter((row) => row.link === link);
  const isDone = (variant: string, repeat: number): boolean =>
    done.some((row) => row.variant === variant && row.repeat === repeat);
  const order = Array.from({ length: repeats }, (_, repeat) =>
    (repeat % 2 === 0 ? variants : [...variants].reverse()).map((variant) => ({ variant, repeat })),
  ).flat();
  const todo = order.filter(({ variant, repeat }) => !isDone(variant, repeat));
  if (todo.length === 0) continue;
  const stage = await Stage.create({
    laboratory,
    link,
    guest: {
      memoryMib,
      vcpus: 1,
      pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB },
      seed: 1,
      work: false,
      diskBlocksPerSec: 20,
    },
  });
  try {
    const goodput = await measureFloorGoodput(stage);
    for (const { variant, repeat } of todo) {
      const row = await runOne(stage, link, variant, repeat, goodput);
      appendFileSync(values.results, `${JSON.stringify(row)}\n`);
      process.stderr.write(
        `${link} ${variant} ${repeat + 1}/${repeats}: ${row.outcome}, total ${row.tmtMs?.toFixed(0) ?? '-'} ms, client ${row.guestMs?.toFixed(0) ?? '-'} ms\n`,
      );
    }
  } finally {
    await stage.testbed.down();
  }
}

function cell(rows: readonly Row[], pick: (row: Row) => number | null): string {
  const figures = rows.map(pick).filter((value): value is number => value !== null);
  if (figures.length === 0) return '-';
  return `${median(figures).toFixed(0)} (${min(figures).toFixed(0)} to ${max(figures).toFixed(0)})`;
}

const rows = readRows();
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
