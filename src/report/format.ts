// SPDX-License-Identifier: Apache-2.0
// Numbers as a report shows them; quantities with units come from common/units.

import type { Interval } from './statistics.ts';

/** What stands where nothing was measured. */
export const ABSENT = '-';

/** "1.22". */
export function formatRatio(ratio: number): string {
  return ratio.toFixed(ratio >= 100 ? 0 : 2);
}

/** "3.4 %"; small ones keep a digit, large ones none. */
export function formatPercent(ratio: number): string {
  const percent = ratio * 100;
  return `${Math.abs(percent) < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`.replace(
    /^-(0(\.0)? %)$/,
    '$1',
  );
}

/** "+3.4 %", "-12 %". */
export function formatChange(ratio: number): string {
  const text = formatPercent(ratio);
  return ratio > 0 && !/^0(\.0)? %$/.test(text) ? `+${text}` : text;
}

/** "0.012", "< 0.001". */
export function formatP(p: number): string {
  return p < 0.001 ? '< 0.001' : p.toFixed(3);
}

/** "5.05 s to 5.41 s". */
export function formatInterval(interval: Interval, format: (value: number) => string): string {
  return `${format(interval.low)} to ${format(interval.high)}`;
}

/** "3 runs", "1 run". */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

/** The value formatted, or the mark of absence. */
export function orAbsent<T>(value: T | null | undefined, format: (value: T) => string): string {
  return value === null || value === undefined ? ABSENT : format(value);
}
