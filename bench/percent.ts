// SPDX-License-Identifier: Apache-2.0
// What the benchmarks of forecasts print with.

import { quantile } from 'simple-statistics';

export function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function p90(values: readonly number[]): number {
  return values.length === 0 ? NaN : quantile([...values], 0.9);
}

/** Columns as wide as they need to be. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
