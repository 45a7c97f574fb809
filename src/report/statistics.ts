// SPDX-License-Identifier: Apache-2.0
// What a handful of runs says: medians with their uncertainty, ratios and completion rates. Ten runs of a migration are
// few and skewed (a disturbed run is late, never early), hence medians and resampling instead of means and a normal law.

import { max, median, min, quantile, quantileSorted } from 'simple-statistics';
import type { Random } from '../common/index.ts';

/** Both ends belong to it. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Summary {
  readonly n: number;
  readonly median: number;
  /** By linear interpolation between order statistics (R's type 7). */
  readonly p90: number;
  readonly min: number;
  readonly max: number;
  /** 95 % bootstrap interval of the median. */
  readonly median95: Interval;
  /** Every value, in the order given. */
  readonly values: readonly number[];
}

export const RESAMPLES = 10_000;

/** Of the standard normal distribution: what leaves 2.5 % on either side. */
const Z_95 = 1.959964;

/**
 * Medians of resamples drawn with replacement. Drawing ranks of the sorted values and counting them gives each median
 * without sorting, which makes a report of hundreds of cells a matter of seconds.
 */
function bootstrapMedians(values: readonly number[], random: Random): Float64Array {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const lowerRank = (n - 1) >> 1;
  const upperRank = n >> 1;
  const counts = new Uint32Array(n);
  const medians = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    counts.fill(0);
    for (let draw = 0; draw < n; draw++) {
      const rank = Math.floor(random() * n);
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    let rank = 0;
    let seen = counts[0] ?? 0;
    while (seen <= lowerRank) seen += counts[++rank] ?? 0;
    const lower = sorted[rank] ?? NaN;
    while (seen <= upperRank) seen += counts[++rank] ?? 0;
    medians[resample] = (lower + (sorted[rank] ?? NaN)) / 2;
  }
  return medians;
}

function percentileInterval(estimates: Float64Array): Interval {
  const sorted = Array.from(estimates.sort());
  return { low: quantileSorted(sorted, 0.025), high: quantileSorted(sorted, 0.975) };
}

/**
 * Percentile interval of the median from 10 000 resamples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
 * chapter 13). Worked example: of 1, 2, 3 a resample's median is 1 when at least two of its three draws are 1, which
 * 7 of 27 resamples are; so are 7 of 27 for 3. Both exceed 2.5 %: the interval is 1 to 3. It never leaves the range of
 * the values, so that with n values it can cover at most 1 - 2^(1 - n): 93.8 % for 5 runs, 99.8 % for 10.
 */
export function medianInterval(values: readonly number[], random: Random): Interval {
  return percentileInterval(bootstrapMedians(values, random));
}

/** Null for no values: what was not measured is absent. */
export function summarize(values: readonly number[], random: Random): Summary | null {
  if (values.length === 0) return null;
  const own = [...values];
  return {
    n: own.length,
    median: median(own),
    p90: quantile(own, 0.9),
    min: min(own),
    max: max(own),
    median95: medianInterval(own, random),
    values: own,
  };
}

export interface Ratio {
  readonly ratio: number;
  /** 95 % bootstrap interval of the ratio. */
  readonly ratio95: Interval;
}

/**
 * median(numerator) / median(denominator) with its percentile interval: both samples are resampled, each by itself, and
 * the medians divided. Worked example: (5.0, 5.2, 5.4) over (4.0, 4.0, 4.0) is 5.2 / 4.0 = 1.30, from 1.25 to 1.35. Null
 * where a sample is empty or holds a value that is not above zero (a resampled median could then be zero).
 */
export function ratioOfMedians(
  numerator: readonly number[],
  denominator: readonly number[],
  random: Random,
): Ratio | null {
  if (numerator.length === 0 || denominator.length === 0 || min([...denominator]) <= 0) return null;
  const over = bootstrapMedians(numerator, random);
  const under = bootstrapMedians(denominator, random);
  return {
    ratio: median([...numerator]) / median([...denominator]),
    ratio95: percentileInterval(over.map((value, resample) => value / (under[resample] ?? NaN))),
  };
}

export interface Proportion {
  readonly successes: number;
  readonly n: number;
  readonly rate: number;
  readonly rate95: Interval;
}

/**
 * A rate with its 95 % Wilson interval (E. B. Wilson, JASA 22, 1927), which stays sensible at 0 and 1:
 * (p + z^2/2n +- z sqrt(p(1 - p)/n + z^2/4n^2)) / (1 + z^2/n). Worked example: 9 of 10 is 90 %, from 59.6 to 98.2 %;
 * 10 of 10 is 100 %, from 72.2 %. Null for no trials.
 */
export function proportion(successes: number, n: number): Proportion | null {
  if (n === 0) return null;
  const rate = successes / n;
  const z2 = Z_95 * Z_95;
  const centre = rate + z2 / (2 * n);
  const half = Z_95 * Math.sqrt((rate * (1 - rate)) / n + z2 / (4 * n * n));
  const scale = 1 + z2 / n;
  return {
    successes,
    n,
    rate,
    rate95: {
      low: successes === 0 ? 0 : (centre - half) / scale,
      high: successes === n ? 1 : (centre + half) / scale,
    },
  };
}

export function overlaps(a: Interval, b: Interval): boolean {
  return a.low <= b.high && b.low <= a.high;
}
