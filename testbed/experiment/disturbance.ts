// SPDX-License-Identifier: Apache-2.0
// What the machine itself did to a run: time stolen by its own host, and a prober that was held up. A disturbed run is kept,
// marked and repeated.

import { readFileSync } from 'node:fs';
import type { MeasuredRun } from '../stage/measured-run.ts';

export interface CpuTimes {
  readonly totalTicks: number;
  readonly stealTicks: number;
}

/** Of a virtual machine's share of its host's cores, more than this taken away makes a run incomparable. */
const MAX_STEAL_RATIO = 0.03;

/** The first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice. */
export function parseCpuTimes(stat: string): CpuTimes {
  const ticks = (stat.split('\n')[0] ?? '').trim().split(/\s+/).slice(1, 9).map(Number);
  return { totalTicks: ticks.reduce((sum, each) => sum + each, 0), stealTicks: ticks[7] ?? 0 };
}

export function readCpuTimes(): CpuTimes {
  return parseCpuTimes(readFileSync('/proc/stat', 'utf8'));
}

export function stealRatio(before: CpuTimes, after: CpuTimes): number {
  const totalTicks = after.totalTicks - before.totalTicks;
  return totalTicks > 0 ? (after.stealTicks - before.stealTicks) / totalTicks : 0;
}

/** Reasons in words; none: undisturbed. */
export function disturbancesOf(run: MeasuredRun, steal: number): string[] {
  const reasons: string[] = [];
  if (steal > MAX_STEAL_RATIO) {
    reasons.push(`the machine's host took ${(steal * 100).toFixed(1)} % of its CPU time`);
  }
  if (run.guestDowntime?.disturbed === true) {
    const { atLeastMs, silenceMs } = run.guestDowntime;
    reasons.push(
      `the prober was held up within the silence: ${atLeastMs.toFixed(0)} to ${silenceMs.toFixed(0)} ms`,
    );
  }
  return reasons;
}
