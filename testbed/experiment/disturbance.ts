// SPDX-License-Identifier: Apache-2.0
// What the machine itself did to a run: time stolen by its own host, programs of others, and a prober that was held up. A
// disturbed run is kept, marked and repeated.

import { readFileSync } from 'node:fs';
import type { MeasuredRun } from '../stage/measured-run.ts';
import { readForeignTicks } from './foreign-load.ts';

export interface CpuTimes {
  readonly totalTicks: number;
  readonly stealTicks: number;
}

/** What was taken of a machine's cores while a run was measured, as shares of their time. */
export interface TakenRatios {
  /** By the host of this virtual machine; with several machines of the worst. */
  readonly steal: number;
  /** By programs of others; null where the guest runs on other machines. */
  readonly foreign: number | null;
}

/** More than this taken away makes a run incomparable. */
const MAX_TAKEN_RATIO = 0.03;

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

/** What was used so far on this machine, to measure from. */
export interface MachineUse {
  readonly cpu: CpuTimes;
  readonly foreignTicks: number;
}

export function readMachineUse(): MachineUse {
  return { cpu: readCpuTimes(), foreignTicks: readForeignTicks() };
}

export function foreignRatio(before: MachineUse, after: MachineUse): number {
  const totalTicks = after.cpu.totalTicks - before.cpu.totalTicks;
  // A process of others that ends takes its ticks along where nobody waits for it.
  return totalTicks > 0 ? Math.max(0, after.foreignTicks - before.foreignTicks) / totalTicks : 0;
}

/** What was taken away, in words; none: too little to matter. */
export function takenReasons({ steal, foreign }: TakenRatios): string[] {
  const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;
  return [
    ...(steal > MAX_TAKEN_RATIO ? [`the machine's host took ${percent(steal)} of its CPU time`] : []),
    ...(foreign !== null && foreign > MAX_TAKEN_RATIO
      ? [`other programs took ${percent(foreign)} of the machine's CPU time`]
      : []),
  ];
}

/** Reasons in words; none: undisturbed. */
export function disturbancesOf(run: MeasuredRun, taken: TakenRatios): string[] {
  const reasons = takenReasons(taken);
  if (run.guestDowntime?.disturbed === true) {
    const { atLeastMs, silenceMs } = run.guestDowntime;
    reasons.push(
      `the prober was held up within the silence: ${atLeastMs.toFixed(0)} to ${silenceMs.toFixed(0)} ms`,
    );
  }
  return reasons;
}
