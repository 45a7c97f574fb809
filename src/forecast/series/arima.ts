// SPDX-License-Identifier: Apache-2.0
// ARIMA(p, d, q) by conditional least squares, orders by AICc. docs/forecasts/arima.md

import { minimise } from './minimise.ts';
import { aiccOf, type FittedSeries, isUsable, meanOf, type SeriesModel } from './series-model.ts';

export interface ArimaOrder {
  readonly p: number;
  readonly d: number;
  readonly q: number;
}

/** Orders that are tried: more would need longer series than a profile has. */
const ORDERS: readonly ArimaOrder[] = [0, 1].flatMap((d) =>
  [0, 1, 2].flatMap((p) => [0, 1].map((q) => ({ p, d, q }))),
);

function differences(values: readonly number[], d: number): number[] {
  let result = [...values];
  for (let i = 0; i < d; i++) result = result.slice(1).map((value, j) => value - (result[j] ?? 0));
  return result;
}

interface Coefficients {
  readonly ar: readonly number[];
  readonly ma: readonly number[];
  readonly mean: number;
}

/** e(t) = (y(t) - m) - sum ar(i) (y(t-i) - m) - sum ma(j) e(t-j), with e = 0 before the p-th value. */
function residuals(series: readonly number[], { ar, ma, mean }: Coefficients): number[] {
  const errors = new Array<number>(series.length).fill(0);
  for (let t = ar.length; t < series.length; t++) {
    let error = (series[t] ?? 0) - mean;
    for (let i = 0; i < ar.length; i++) error -= (ar[i] ?? 0) * ((series[t - 1 - i] ?? 0) - mean);
    for (let j = 0; j < ma.length && t - 1 - j >= ar.length; j++)
      error -= (ma[j] ?? 0) * (errors[t - 1 - j] ?? 0);
    errors[t] = error;
  }
  return errors;
}

/** Whether the polynomial 1 - c1 z - c2 z^2 has its roots outside the unit circle (orders 0 to 3, by Schur's criterion). */
function isStable(coefficients: readonly number[]): boolean {
  let a = [...coefficients];
  while (a.length > 0) {
    const last = a.at(-1) ?? 0;
    if (Math.abs(last) >= 1) return false;
    const rest = a.slice(0, -1);
    a = rest.map((value, i) => (value + last * (rest[rest.length - 1 - i] ?? 0)) / (1 - last * last));
  }
  return true;
}

/** ARIMA of a fixed order. Without differences a mean is estimated with it, with differences there is none (as in R). */
export function arimaOf({ p, d, q }: ArimaOrder): SeriesModel {
  return {
    name: `arima(${p},${d},${q})`,
    fit(values) {
      if (!isUsable(values, d + p + q + 3)) return null;
      const raw = differences(values, d);
      const average = d === 0 ? meanOf(raw) : 0;
      const scale = Math.sqrt(meanOf(raw.map((value) => (value - average) ** 2)));
      if (!(scale > 0)) return constant(values, p + q + (d === 0 ? 1 : 0), d, raw.length - p, average);
      // In units of its own spread, so that the search's steps fit whatever is measured.
      const series = raw.map((value) => (value - average) / scale);
      const split = (at: readonly number[]): Coefficients => ({
        ar: at.slice(0, p),
        ma: at.slice(p, p + q),
        mean: d === 0 ? (at[p + q] ?? 0) : 0,
      });
      const cost = (at: readonly number[]): number => {
        const coefficients = split(at);
        if (!isStable(coefficients.ar) || !isStable(coefficients.ma.map((value) => -value))) return Infinity;
        return residuals(series, coefficients).reduce((sum, error) => sum + error * error, 0);
      };
      const start = new Array<number>(p + q + (d === 0 ? 1 : 0)).fill(0);
      const found = start.length === 0 ? { at: start, value: cost(start) } : minimise(cost, start, 0.2, 600);
      const { ar, ma, mean } = split(found.at);
      const errors = residuals(series, { ar, ma, mean });
      return {
        forecast: (steps) => {
          const ahead = extend(series, errors, { ar, ma, mean }, steps).map((y) => y * scale + average);
          return d === 0 ? ahead : integrate(values, ahead, d);
        },
        parameters: {
          ...Object.fromEntries(ar.map((value, i) => [`ar${i + 1}`, value])),
          ...Object.fromEntries(ma.map((value, i) => [`ma${i + 1}`, value])),
          ...(d === 0 ? { mean: mean * scale + average } : {}),
        },
        sumOfSquares: found.value * scale * scale,
        errorCount: series.length - p,
        parameterCount: start.length,
      };
    },
  };
}

function constant(
  values: readonly number[],
  parameterCount: number,
  d: number,
  errorCount: number,
  average: number,
): FittedSeries {
  const last = values.at(-1) ?? 0;
  return {
    forecast: (steps) => new Array<number>(steps).fill(d === 0 ? average : last),
    parameters: {},
    sumOfSquares: 0,
    errorCount,
    parameterCount,
  };
}

function extend(
  series: readonly number[],
  errors: readonly number[],
  { ar, ma, mean }: Coefficients,
  steps: number,
): number[] {
  const known = [...series];
  const shocks = [...errors];
  for (let h = 0; h < steps; h++) {
    let next = mean;
    for (let i = 0; i < ar.length; i++) next += (ar[i] ?? 0) * ((known.at(-1 - i) ?? mean) - mean);
    for (let j = 0; j < ma.length; j++) next += (ma[j] ?? 0) * (shocks.at(-1 - j) ?? 0);
    known.push(next);
    shocks.push(0);
  }
  return known.slice(series.length);
}

function integrate(values: readonly number[], ahead: readonly number[], d: number): number[] {
  let result = [...ahead];
  for (let i = d - 1; i >= 0; i--) {
    let last = differences(values, i).at(-1) ?? 0;
    result = result.map((value) => (last += value));
  }
  return result;
}

/** The order with the least AICc, each on its own errors: those of higher orders are one to three fewer. */
export const arima: SeriesModel = {
  name: 'arima',
  fit(values) {
    let best: FittedSeries | null = null;
    for (const order of ORDERS) {
      const fitted = arimaOf(order).fit(values);
      if (fitted !== null && (best === null || aiccOf(fitted) < aiccOf(best))) best = fitted;
    }
    return best;
  },
};
