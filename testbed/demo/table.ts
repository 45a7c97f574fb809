// SPDX-License-Identifier: Apache-2.0
// The demonstration's result for people: policies side by side, medians over the repeats.

import { median } from 'simple-statistics';
import { formatBytes, formatMs } from '../../src/index.ts';
import type { DemoRun } from './demo.ts';

/** The median of what was measured; null when nothing was. */
export function medianOf(runs: readonly DemoRun[], pick: (run: DemoRun) => number | null): number | null {
  const values = runs.map(pick).filter((value): value is number => value !== null);
  return values.length === 0 ? null : median(values);
}

interface Line {
  readonly label: string;
  readonly cell: (runs: readonly DemoRun[]) => string;
}

const ABSENT = '-';

function ms(pick: (run: DemoRun) => number | null): (runs: readonly DemoRun[]) => string {
  return (runs) => {
    const value = medianOf(runs, pick);
    return value === null ? ABSENT : formatMs(value);
  };
}

const LINES: readonly Line[] = [
  {
    label: 'outcome',
    cell: (runs) => [...new Set(runs.map(({ outcome }) => outcome))].join(', '),
  },
  { label: 'total migration time', cell: ms((run) => run.tmt_ms) },
  {
    label: '  times the floor',
    cell: (runs) => {
      const ratio = medianOf(runs, (run) => (run.tmt_ms === null ? null : run.tmt_ms / run.floor_ms));
      return ratio === null ? ABSENT : ratio.toFixed(2);
    },
  },
  { label: 'downtime, as QEMU says', cell: ms((run) => run.downtime_qemu_ms) },
  { label: 'downtime, STOP to RESUME', cell: ms((run) => run.downtime_stop_to_resume_ms) },
  { label: 'downtime, as a client sees it', cell: ms((run) => run.downtime_guest_ms) },
  {
    label: 'bytes sent',
    cell: (runs) => {
      const value = medianOf(runs, (run) => run.transferred_bytes);
      return value === null ? ABSENT : formatBytes(value);
    },
  },
  {
    label: 'rounds',
    cell: (runs) => {
      const value = medianOf(runs, (run) => run.rounds);
      return value === null ? ABSENT : String(value);
    },
  },
  {
    label: 'memory and disk coherent',
    cell: (runs) => (runs.every(({ coherent }) => coherent) ? 'yes' : 'NO'),
  },
];

/** The table as lines. */
export function demoTable(runs: readonly DemoRun[]): string[] {
  const policies = [...new Set(runs.map(({ policy }) => policy))];
  const byPolicy = policies.map((policy) => runs.filter((run) => run.policy === policy));
  const repeats = Math.max(...byPolicy.map(({ length }) => length));
  const rows = [
    [repeats > 1 ? `median of ${repeats}` : '', ...policies],
    ...LINES.map(({ label, cell }) => [label, ...byPolicy.map(cell)]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  const floor = medianOf(runs, (run) => run.floor_ms);
  const floorBytes = medianOf(runs, (run) => run.floor_bytes);
  if (floor !== null && floorBytes !== null) {
    table.push(
      '',
      `floor: ${formatBytes(floorBytes)} of memory that is not zero, once over this link: ${formatMs(floor)}`,
    );
  }
  return table;
}
