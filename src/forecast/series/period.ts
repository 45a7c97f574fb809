// SPDX-License-Identifier: Apache-2.0
// Whether a series repeats itself, and after how many steps: Fisher's test of its periodogram finds a period that chance
// does not explain, folding the series over it finds its length more exactly than to a step. docs/forecasts/period.md

import { meanOf } from './series-model.ts';

export interface Period {
  /** Not a whole number as a rule. */
  readonly steps: number;
  /** Of Fisher's test, with the lengths tried counted in. */
  readonly pValue: number;
  /** Share of the series' variance that the mean course of a period explains, less what as many numbers explain by chance. */
  readonly explainedRatio: number;
}

const MIN_VALUES = 8;
/** Longer series are judged by their end: a guest changes its habits. */
const MAX_VALUES = 512;
const MAX_P_VALUE = 0.01;
const MIN_EXPLAINED = 0.5;
/** Two whole periods have to be seen before a third is foretold. */
const MIN_PERIODS = 2;
/** Frequencies of a short series are far apart: cut by a few values its period may be one of them. */
const LENGTHS = 8;
const SHORTEST_CUT = 0.75;
const FINE_STEPS = 20;

/** Power at the Fourier frequencies 1/n, 2/n, ... below a half. */
export function periodogram(values: readonly number[]): number[] {
  const n = values.length;
  const mean = meanOf(values);
  return Array.from({ length: Math.floor((n - 1) / 2) }, (_, index) => {
    const angle = (2 * Math.PI * (index + 1)) / n;
    let [cosine, sine] = [0, 0];
    for (let t = 0; t < n; t++) {
      const value = (values[t] ?? 0) - mean;
      cosine += value * Math.cos(angle * t);
      sine += value * Math.sin(angle * t);
    }
    return (cosine * cosine + sine * sine) / n;
  });
}

/**
 * How likely white noise has a peak that holds at least the share g of the power of m frequencies: at most m (1 - g)^(m - 1),
 * the first term of Fisher's sum (1929). Worked example: m = 19, g = 0.5: 19 x 0.5^18 = 0.00007.
 */
export function fisherPValue(g: number, m: number): number {
  return Math.min(1, m * (1 - g) ** (m - 1));
}

/** The strongest frequency of each of a few lengths of the series, by Fisher's test; the most telling one. */
function strongest(values: readonly number[]): { readonly steps: number; readonly pValue: number } | null {
  const n = values.length;
  const cuts = Math.min(LENGTHS, 1 + Math.floor(n * (1 - SHORTEST_CUT)));
  let best: { steps: number; pValue: number } | null = null;
  for (let i = 0; i < cuts; i++) {
    const length = n - Math.floor((i * n * (1 - SHORTEST_CUT)) / cuts);
    const power = periodogram(values.slice(n - length));
    const total = power.reduce((sum, each) => sum + each, 0);
    if (!(total > 0)) continue;
    const peak = Math.max(...power);
    const frequency = power.indexOf(peak) + 1;
    if (frequency < MIN_PERIODS) continue;
    const pValue = Math.min(1, cuts * fisherPValue(peak / total, power.length));
    if (best === null || pValue < best.pValue) best = { steps: length / frequency, pValue };
  }
  return best;
}

/** The mean of the values at each place within a period of `steps`, for as many places as there are whole steps. */
export function foldOver(values: readonly number[], steps: number): number[] {
  const places = Math.max(1, Math.round(steps));
  const sums = new Array<number>(places).fill(0);
  const counts = new Array<number>(places).fill(0);
  values.forEach((value, t) => {
    const place = placeOf(t, steps, places);
    sums[place] = (sums[place] ?? 0) + value;
    counts[place] = (counts[place] ?? 0) + 1;
  });
  const mean = meanOf(values);
  return sums.map((sum, place) => ((counts[place] ?? 0) > 0 ? sum / (counts[place] ?? 1) : mean));
}

function placeOf(t: number, steps: number, places: number): number {
  const within = (t % steps) / steps;
  return Math.min(places - 1, Math.floor(within * places));
}

/** Adjusted for the number of places: 0 on average where there is no such period. */
function explainedBy(values: readonly number[], steps: number): number {
  const places = Math.max(1, Math.round(steps));
  const n = values.length;
  if (n - places < 2 || places < 2) return 0;
  const mean = meanOf(values);
  const course = foldOver(values, steps);
  let [within, total] = [0, 0];
  values.forEach((value, t) => {
    within += (value - (course[placeOf(t, steps, places)] ?? 0)) ** 2;
    total += (value - mean) ** 2;
  });
  return total > 0 ? 1 - within / (n - places) / (total / (n - 1)) : 0;
}

/** The length near `steps` that explains most, to a twentieth of a step over the whole series. */
function exactly(values: readonly number[], steps: number): { steps: number; explainedRatio: number } {
  const periods = values.length / steps;
  // An error of one in a period adds up over all of them.
  const fine = 1 / FINE_STEPS;
  const reach = Math.max(1, steps / periods);
  let best = { steps, explainedRatio: explainedBy(values, steps) };
  for (let by = -reach; by <= reach; by += fine) {
    const tried = steps + by;
    if (tried < 2 || values.length / tried < MIN_PERIODS) continue;
    const explainedRatio = explainedBy(values, tried);
    if (explainedRatio > best.explainedRatio) best = { steps: tried, explainedRatio };
  }
  return best;
}

/** The period of a series, or null where none is found that chance would not explain. Never throws. */
export function findPeriod(all: readonly number[]): Period | null {
  const values = all.slice(-MAX_VALUES);
  if (values.length < MIN_VALUES || !values.every(Number.isFinite)) return null;
  const peak = strongest(values);
  if (peak === null || peak.pValue > MAX_P_VALUE) return null;
  // The strongest frequency may be a harmonic: a period that is its multiple is taken where it explains clearly more.
  let best = exactly(values, peak.steps);
  for (const multiple of [2, 3]) {
    const steps = peak.steps * multiple;
    if (values.length / steps < MIN_PERIODS) break;
    const longer = exactly(values, steps);
    if (longer.explainedRatio > best.explainedRatio + 0.1) best = longer;
  }
  if (best.explainedRatio < MIN_EXPLAINED) return null;
  return { ...best, pValue: peak.pValue };
}
