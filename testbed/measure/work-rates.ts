// SPDX-License-Identifier: Apache-2.0
// What the guest's work reports say of its speed, on the clock of the migration (0: the migrate command).

import type { RunSeries } from '../../src/experiment/index.ts';
import type { ProberReport, WorkReport } from './prober-report.ts';

/** Work per second between two moments of the prober's clock; null where no report came or the time is empty. */
export function workPerSec(
  reports: readonly WorkReport[],
  fromMonotonicMs: number,
  toMonotonicMs: number,
): number | null {
  const seconds = (toMonotonicMs - fromMonotonicMs) / 1000;
  if (reports.length === 0 || seconds <= 0) return null;
  let units = 0;
  for (const [index, { receivedMonotonicMs: endMs, units: done }] of reports.entries()) {
    // A report counts for the time since the one before; of one that reaches over an edge, its share within.
    const startMs = reports[index - 1]?.receivedMonotonicMs;
    if (startMs === undefined) continue;
    const insideMs = Math.min(endMs, toMonotonicMs) - Math.max(startMs, fromMonotonicMs);
    if (insideMs > 0) units += done * (insideMs / (endMs - startMs));
  }
  return units / seconds;
}

/**
 * How long the guest works, at the rate it had before, for what it did not get done between two moments. Worked example: 100 units a
 * second before, 60 of them done in 2 s: 1400 ms.
 */
export function lostWorkMs(
  reports: readonly WorkReport[],
  perSecBefore: number | null,
  fromMonotonicMs: number,
  toMonotonicMs: number,
): number | null {
  const perSec = workPerSec(reports, fromMonotonicMs, toMonotonicMs);
  if (perSec === null || perSecBefore === null || perSecBefore <= 0) return null;
  return (toMonotonicMs - fromMonotonicMs) * (1 - perSec / perSecBefore);
}

/** The run over time, for figures. */
export function runSeries(report: ProberReport, startMonotonicMs: number): RunSeries {
  const work = report.work.slice(1).map((each, i) => {
    const before = report.work[i]?.receivedMonotonicMs ?? each.receivedMonotonicMs;
    const spanMs = Math.max(1, each.receivedMonotonicMs - before);
    return { atMs: each.receivedMonotonicMs - startMonotonicMs, perSec: (each.units / spanMs) * 1000 };
  });
  const silences = report.silences.map(({ startMonotonicMs: from, endMonotonicMs: to }) => ({
    startMs: from - startMonotonicMs,
    endMs: to - startMonotonicMs,
  }));
  return { work, silences };
}
