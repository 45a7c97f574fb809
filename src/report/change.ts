// SPDX-License-Identifier: Apache-2.0
// One cell's change in one metric, and when it counts: larger than the machine's noise and not to be expected by chance
// among that many cells. (Many small runs make anything significant, few runs make anything large.)

import type { Random } from '../common/index.ts';
import { holm, leastPossibleP, rankPermutationTest } from './significance.ts';

export type Metric = 'tmt' | 'client-downtime' | 'completion';

export interface Change {
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  readonly metric: Metric;
  /** Medians in ms, of completion rates from 0 to 1. */
  readonly before: number | null;
  readonly after: number | null;
  readonly beforeRuns: number;
  readonly afterRuns: number;
  /** (after - before) / before; of completion the difference of the rates. */
  readonly change: number | null;
  /** What `change` has to exceed. */
  readonly thresholdRatio: number;
  /** After Holm's correction over the cells of this metric. */
  readonly p: number | null;
  /** Why it cannot be compared, or what else must be known; empty: nothing. */
  readonly note: string;
}

export const SIGNIFICANCE = 0.05;

/** The note of a figure that neither set has, such as the TMT of a policy that never finishes. */
export const MEASURED_IN_NEITHER = 'measured in neither';

/** A change with the values it comes from, not judged yet. */
export interface Candidate {
  readonly change: Change;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Those that cannot be compared get their reason; p of the others is corrected over all of them. */
export function judge(candidates: readonly Candidate[], random: Random, resamples: number): Change[] {
  const able = candidates.filter(({ change }) => change.change !== null);
  const unable = candidates.filter(({ change }) => change.change === null);
  // Two groups of equal values cannot be told apart whatever comes: they are not part of the family (Tarone, 1990).
  const varies = ({ before, after }: Candidate): boolean =>
    [...before, ...after].some((value) => value !== before[0]);
  const tested = able.filter(varies);
  // So many that the least p of the resampling stays below the threshold after the correction.
  const enough = Math.max(resamples, 40 * tested.length);
  const adjusted = holm(
    tested.map(({ before, after }) => rankPermutationTest(before, after, random, enough)),
  );
  const judged = tested.map(({ change, before, after }, index): Change => {
    const least = leastPossibleP(before.length, after.length) * tested.length;
    const exceeds = Math.abs(change.change ?? 0) > change.thresholdRatio;
    return least >= SIGNIFICANCE && exceeds
      ? { ...change, p: null, note: `too few runs to tell: ${before.length} and ${after.length}` }
      : { ...change, p: adjusted[index] ?? 1 };
  });
  return [
    ...judged,
    ...able.filter((candidate) => !varies(candidate)).map(({ change }) => ({ ...change, p: 1 })),
    ...unable.map(({ change }) => ({ ...change, note: change.note || reasonFor(change) })),
  ];
}

function reasonFor({ before, beforeRuns, afterRuns }: Change): string {
  if (beforeRuns === 0) return 'not measured before';
  if (afterRuns === 0) return 'not measured after';
  return before === 0 ? 'was 0 before' : 'not measured';
}

/** Less is better for times, more for completion. */
export function isWorse({ metric, change }: Change): boolean {
  return metric === 'completion' ? (change ?? 0) < 0 : (change ?? 0) > 0;
}

export function isReal({ p, change, thresholdRatio }: Change): boolean {
  return p !== null && p < SIGNIFICANCE && Math.abs(change ?? 0) > thresholdRatio;
}
