// SPDX-License-Identifier: Apache-2.0
// Exponential smoothing with additive errors: a level, a damped trend, a season. docs/forecasts/ets.md

import { minimise } from './minimise.ts';
import { aiccOf, type FittedSeries, isUsable, meanOf, type SeriesModel } from './series-model.ts';

/** The smoothing weights, 0 to 1; absent parts are off. */
export interface EtsWeights {
  readonly alpha: number;
  readonly beta?: number;
  readonly phi?: number;
  readonly gamma?: number;
}

interface Smoothed {
  readonly level: number;
  readonly trend: number;
  readonly season: readonly number[];
  readonly sumOfSquares: number;
  readonly errorCount: number;
}

/** What the smoothing begins with: as R's HoltWinters does it. */
interface Start {
  readonly level: number;
  readonly trend: number;
  readonly season: readonly number[];
  /** The first value that is forecast. */
  readonly from: number;
}

/**
 * One pass over the values:
 *
 *     e = y - (l + phi b + s),  l' = l + phi b + alpha e,  b' = phi b + alpha beta e,  s' = s + gamma (1 - alpha) e
 *
 * which are Holt's and Winters' recursions in their error-correction form (Hyndman et al., 2008).
 */
export function smooth(
  values: readonly number[],
  { alpha, beta = 0, phi = 1, gamma = 0 }: EtsWeights,
  start: Start,
): Smoothed {
  let { level, trend } = start;
  const season = [...start.season];
  const period = season.length;
  let sumOfSquares = 0;
  for (let i = start.from; i < values.length; i++) {
    const at = period === 0 ? 0 : i % period;
    const ahead = level + phi * trend;
    const error = (values[i] ?? 0) - ahead - (season[at] ?? 0);
    sumOfSquares += error * error;
    level = ahead + alpha * error;
    trend = phi * trend + alpha * beta * error;
    if (period > 0) season[at] = (season[at] ?? 0) + gamma * (1 - alpha) * error;
  }
  return { level, trend, season, sumOfSquares, errorCount: values.length - start.from };
}

export function startOf(values: readonly number[], withTrend: boolean, period: number): Start {
  if (period === 0) {
    const [first = 0, second = 0] = values;
    return withTrend
      ? { level: second, trend: second - first, season: [], from: 2 }
      : { level: first, trend: 0, season: [], from: 1 };
  }
  // The first period: its mean, and what each of its values differs from it.
  const first = values.slice(0, period);
  const level = meanOf(first);
  return { level, trend: 0, season: first.map((value) => value - level), from: period };
}

/** Weights from any number: the search knows no bounds. */
function weightOf(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Damping stays within what is usual: 0.8 to 0.98. */
function dampingOf(x: number): number {
  return 0.8 + 0.18 * weightOf(x);
}

interface Form {
  readonly trend: boolean;
  readonly period: number;
}

function fitForm(values: readonly number[], { trend, period }: Form): FittedSeries | null {
  const start = startOf(values, trend, period);
  if (values.length - start.from < 3) return null;
  const weights = (at: readonly number[]): EtsWeights => {
    const rest = [...at];
    const alpha = weightOf(rest.shift() ?? 0);
    const gamma = period > 0 ? { gamma: weightOf(rest.shift() ?? 0) } : {};
    const [beta, phi] = rest;
    const trended =
      beta === undefined || phi === undefined ? {} : { beta: weightOf(beta), phi: dampingOf(phi) };
    return { alpha, ...gamma, ...trended };
  };
  const count = 1 + (trend ? 2 : 0) + (period > 0 ? 1 : 0);
  const found = minimise(
    (at) => smooth(values, weights(at), start).sumOfSquares,
    new Array<number>(count).fill(-1),
    1,
  );
  const chosen = weights(found.at);
  const { level, trend: slope, season, sumOfSquares, errorCount } = smooth(values, chosen, start);
  const phi = chosen.phi ?? 1;
  return {
    forecast: (steps) => {
      let damped = 0;
      let factor = 1;
      return Array.from({ length: steps }, (_, h) => {
        factor *= phi;
        damped += factor;
        const seasonal = period === 0 ? 0 : (season[(values.length + h) % period] ?? 0);
        return level + damped * slope + seasonal;
      });
    },
    parameters: { ...chosen, ...(period > 0 ? { periodSteps: period } : {}) },
    sumOfSquares,
    errorCount,
    parameterCount: count + 1 + (trend ? 1 : 0) + period,
  };
}

/** Simple exponential smoothing: a level only. */
export const simpleSmoothing: SeriesModel = {
  name: 'ses',
  fit: (values) => (isUsable(values, 4) ? fitForm(values, { trend: false, period: 0 }) : null),
};

/** Holt's trend, damped. */
export const dampedHolt: SeriesModel = {
  name: 'holt-damped',
  fit: (values) => (isUsable(values, 5) ? fitForm(values, { trend: true, period: 0 }) : null),
};

/** Holt and Winters' additive season on a level, where the period is known. */
export function holtWinters(periodSteps: number): SeriesModel {
  return {
    name: 'holt-winters',
    fit: (values) =>
      Number.isInteger(periodSteps) && periodSteps >= 2 && isUsable(values, 2 * periodSteps)
        ? fitForm(values, { trend: false, period: periodSteps })
        : null,
  };
}

/** The form of the three with the least AICc. `periodSteps`: as found beforehand; null: no season. */
export function ets(periodSteps: number | null = null): SeriesModel {
  const forms = [simpleSmoothing, dampedHolt, ...(periodSteps === null ? [] : [holtWinters(periodSteps)])];
  return {
    name: 'ets',
    fit(values) {
      let best: FittedSeries | null = null;
      for (const form of forms) {
        const fitted = form.fit(values);
        if (fitted !== null && (best === null || aiccOf(fitted) < aiccOf(best))) best = fitted;
      }
      return best;
    },
  };
}
