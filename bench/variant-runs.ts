// SPDX-License-Identifier: Apache-2.0
// What benchmarks of variants have in common: the variants take turns (A B C, C B A, ...), each from a freshly booted guest;
// every run is appended to a file as a JSON line, so that a benchmark that was stopped goes on where it was.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { max, median, min } from 'simple-statistics';
import { disturbancesOf, readCpuTimes, stealRatio } from '../testbed/experiment/disturbance.ts';
import { measuredMigration, type MeasuredRun } from '../testbed/stage/measured-run.ts';
import type { Stage } from '../testbed/stage/stage.ts';

/** What every row has. */
export interface VariantRow {
  readonly link: string;
  readonly variant: string;
  readonly repeat: number;
  readonly outcome: string;
  readonly tmtMs: number | null;
  readonly floorMs: number;
  readonly stopToResumeMs: number | null;
  readonly guestMs: number | null;
  /** What the machine's own host took of its CPUs. Absent in rows from before it was kept. */
  readonly stealRatio?: number;
  readonly disturbed: boolean;
  readonly coherent: boolean;
  readonly startedAt: string;
  readonly machine: string;
}

export type Turn = Pick<VariantRow, 'link' | 'variant' | 'repeat'>;

/** Runs of so many repeats that are not among `done`, in turn. */
export function turnsOf(
  link: string,
  variants: readonly string[],
  repeats: number,
  done: readonly Turn[],
): Turn[] {
  const turns = Array.from({ length: repeats }, (_, repeat) =>
    (repeat % 2 === 0 ? variants : [...variants].reverse()).map((variant) => ({ link, variant, repeat })),
  ).flat();
  const isDone = (turn: Turn): boolean =>
    done.some((row) => row.link === link && row.variant === turn.variant && row.repeat === turn.repeat);
  return turns.filter((turn) => !isDone(turn));
}

/** Migrates a settled guest to the destination that waits for it; the row, and the run that it is of. */
export async function runTurn(
  stage: Stage,
  turn: Turn,
  options: { readonly goodputBytesPerSec: number; readonly migrateArgs: readonly string[] },
): Promise<{ readonly row: VariantRow; readonly run: MeasuredRun }> {
  const startedAt = new Date().toISOString();
  const before = readCpuTimes();
  const run = await measuredMigration(stage, options);
  const steal = stealRatio(before, readCpuTimes());
  const { document } = run.controller;
  const row = {
    ...turn,
    outcome: document?.outcome ?? 'none',
    tmtMs: document?.tmt_ms ?? null,
    floorMs: run.floorMs,
    stopToResumeMs: document?.downtime_stop_to_resume_ms ?? null,
    guestMs: run.guestDowntime?.silenceMs ?? null,
    stealRatio: steal,
    disturbed: disturbancesOf(run, { steal, foreign: null }).length > 0,
    coherent: run.coherence.coherent,
    startedAt,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`,
  };
  return { row, run };
}

export function readRows<Row>(path: string): Row[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}

/** Keeps a row, and says on stderr how it went. */
export function keepRow(path: string, row: VariantRow, repeats: number): void {
  appendFileSync(path, `${JSON.stringify(row)}\n`);
  const ms = (value: number | null): string => `${value?.toFixed(0) ?? '-'} ms`;
  process.stderr.write(
    `${row.link} ${row.variant} ${row.repeat + 1}/${repeats}: ${row.outcome}, total ${ms(row.tmtMs)}, client ${ms(row.guestMs)}${row.disturbed ? ', disturbed' : ''}\n`,
  );
}

/** "median (lowest to highest)" of what the rows have. */
export function cell<Row>(rows: readonly Row[], pick: (row: Row) => number | null, digits = 0): string {
  const figures = rows.map(pick).filter((value): value is number => value !== null);
  if (figures.length === 0) return '-';
  const [middle, low, high] = [median(figures), min(figures), max(figures)].map((value) =>
    value.toFixed(digits),
  );
  return `${middle} (${low} to ${high})`;
}
