// SPDX-License-Identifier: Apache-2.0
// A guest's activity over time. A curve alone describes a guest that is always as busy; where it is not, its own time is
// made to run faster and slower: within a window it dirties what the curve gives for the integral of its pace.

import type { DirtyCurve, Pace } from '../model/index.ts';
import { dirtyBytesWithin } from './dirty-curve.ts';

/** Distinct bytes that a guest dirties between two moments. */
export type Dirtying = (fromMs: number, toMs: number) => number;

/** The integral of a pace from its first step, as a function of time: its own time in ms. */
export function ownTimeOf({ startMs, stepMs, values }: Pace): (atMs: number) => number {
  const sums = [0];
  for (const value of values) sums.push((sums.at(-1) ?? 0) + value * stepMs);
  const wholeMs = values.length * stepMs;
  const whole = sums.at(-1) ?? 0;
  return (atMs) => {
    const sinceMs = atMs - startMs;
    const turns = Math.floor(sinceMs / wholeMs);
    const withinMs = sinceMs - turns * wholeMs;
    const step = Math.min(values.length - 1, Math.floor(withinMs / stepMs));
    return turns * whole + (sums[step] ?? 0) + (values[step] ?? 0) * (withinMs - step * stepMs);
  };
}

/** What a guest dirties that follows the curve at that pace; null: always as busy. */
export function dirtyingOf(curve: DirtyCurve, pace: Pace | null): Dirtying {
  if (pace === null || pace.values.length === 0 || !(pace.stepMs > 0)) {
    return (fromMs, toMs) => dirtyBytesWithin(curve, toMs - fromMs);
  }
  const ownTime = ownTimeOf(pace);
  return (fromMs, toMs) => dirtyBytesWithin(curve, ownTime(toMs) - ownTime(fromMs));
}

/** More than this the curve does not tell apart: the window has seen nearly all of the set. */
const SATURATED_RATIO = 0.97;

/**
 * How busy a guest was that dirtied so much within a window: the t for which U(t) is that, over the window. U is concave and
 * grows, so t is found by halving. Worked example: H 64 MiB, tau 320 ms, 40 MiB within 250 ms: U(t) = 40 MiB at 314 ms: 1.26.
 */
export function paceOf(curve: DirtyCurve, windowMs: number, dirtyBytes: number): number {
  if (!(windowMs > 0) || !(dirtyBytes > 0)) return 0;
  const mostMs = 4 * windowMs;
  const most = dirtyBytesWithin(curve, mostMs);
  const as = dirtyBytesWithin(curve, windowMs);
  // Where four times the time would hardly give more, the window says no more than that the guest was busy.
  if (as >= SATURATED_RATIO * most && dirtyBytes >= SATURATED_RATIO * as) return 1;
  if (dirtyBytes >= most) return 4;
  let [low, high] = [0, mostMs];
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (dirtyBytesWithin(curve, middle) < dirtyBytes) low = middle;
    else high = middle;
  }
  return (low + high) / 2 / windowMs;
}
