// SPDX-License-Identifier: Apache-2.0
// Whether a difference could be chance: permutation tests, which assume nothing of the distribution, and Holm's
// correction for looking at many cells at once.

import { median, permutationTest } from 'simple-statistics';
import type { Random } from '../common/index.ts';
import { type Interval, medianInterval, RESAMPLES } from './statistics.ts';

/** Up to here all sign patterns are tried: 2^12. */
const EXACT_PATTERNS = 4096;

/** Sums of the same numbers in another order differ by rounding; they must count as equal. */
const TIE_TOLERANCE = 1e-9;

/**
 * Two-sided p of paired differences under "either sign was as likely": how many of the sign patterns give a sum as far
 * from zero as the observed one. All 2^n patterns where those are at most 4096, otherwise 10 000 random ones, the observed
 * one counted among them (Phipson and Smyth, 2010: such a p is never 0). Worked example: of 1, 2, 3 (sum 6) only +++ and
 * --- out of 8 patterns reach 6: p = 0.25; no three pairs can give less.
 */
export function signFlipTest(differences: readonly number[], random: Random): number {
  const n = differences.length;
  const sum = (signOf: (index: number) => number): number =>
    Math.abs(differences.reduce((total, difference, index) => total + signOf(index) * difference, 0));
  const scale = differences.reduce((total, difference) => total + Math.abs(difference), 0);
  const observed = sum(() => 1) - TIE_TOLERANCE * scale;
  const patterns = 2 ** n;
  let asFar = 0;
  if (patterns <= EXACT_PATTERNS) {
    for (let pattern = 0; pattern < patterns; pattern++) {
      if (sum((index) => ((pattern >> index) & 1 ? -1 : 1)) >= observed) asFar++;
    }
    return asFar / patterns;
  }
  for (let resample = 0; resample < RESAMPLES; resample++) {
    if (sum(() => (random() < 0.5 ? -1 : 1)) >= observed) asFar++;
  }
  return (asFar + 1) / (RESAMPLES + 1);
}

export interface PairedDifference {
  readonly pairs: number;
  /** Of second - first. */
  readonly median: number;
  readonly median95: Interval;
  readonly p: number;
}

/**
 * The typical difference second - first of pairs that shared their conditions. Worked example: (5, 4), (6, 4), (7, 4)
 * differ by -1, -2, -3: median -2, p 0.25. Null for no pairs.
 */
export function pairedDifference(
  pairs: readonly { readonly first: number; readonly second: number }[],
  random: Random,
): PairedDifference | null {
  if (pairs.length === 0) return null;
  const differences = pairs.map(({ first, second }) => second - first);
  return {
    pairs: pairs.length,
    median: median(differences),
    median95: medianInterval(differences, random),
    p: signFlipTest(differences, random),
  };
}

/** Ranks from 1 in the joint order, ties share their mean rank (a whole or a half). */
function jointRanks(values: readonly number[]): number[] {
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value);
  const ranks = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (order[end + 1]?.value === order[start]?.value) end++;
    for (const { index } of order.slice(start, end + 1)) ranks[index] = (start + end) / 2 + 1;
    start = end + 1;
  }
  return ranks;
}

/**
 * Two-sided p of "both samples come from the same distribution": a permutation test on the joint ranks (Wilcoxon's rank
 * sum), so that a single disturbed run cannot hide or feign a change. The ranks are scaled to keep both means whole:
 * splits that are equally far apart then compare equal, without rounding. The observed split is counted among the random
 * ones.
 * Worked example: (1, 2, 3) against (4, 5, 6): 2 of the 20 splits are as far apart, p is about 0.10.
 */
export function rankPermutationTest(
  a: readonly number[],
  b: readonly number[],
  random: Random,
  resamples = RESAMPLES,
): number {
  const all = [...a, ...b];
  if (a.length === 0 || b.length === 0 || all.every((value) => value === all[0])) return 1;
  const ranks = jointRanks(all).map((rank) => rank * 2 * a.length * b.length);
  const p = permutationTest(ranks.slice(0, a.length), ranks.slice(a.length), 'two_side', resamples, random);
  return (Math.round(p * resamples) + 1) / (resamples + 1);
}

/** The least p that two samples of these sizes can give: 2 of all (n + m choose n) splits. 3 and 3 runs: 2/20 = 0.10. */
export function leastPossibleP(n: number, m: number): number {
  let splits = 1;
  for (let i = 1; i <= n; i++) splits = (splits * (m + i)) / i;
  return Math.min(1, 2 / splits);
}

/**
 * Holm's step-down correction (1979): the smallest of m p-values times m, the next times m - 1, never below the one
 * before. Keeping those below 0.05 makes a single false alarm in the whole family at most 5 % likely. Worked example:
 * 0.01, 0.04, 0.03 become 0.03, 0.06, 0.06.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(pValues.length).fill(1);
  let atLeast = 0;
  order.forEach(({ p, index }, position) => {
    atLeast = Math.max(atLeast, Math.min(1, p * (order.length - position)));
    adjusted[index] = atLeast;
  });
  return adjusted;
}
