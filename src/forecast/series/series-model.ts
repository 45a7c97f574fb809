// SPDX-License-Identifier: Apache-2.0
// What all models of time series have in common: values at even steps in, the next values out.

/** A model fitted to a series. */
export interface FittedSeries {
  /** The next `steps` values. */
  forecast(steps: number): number[];
  /** The parameters found, for reports; their names are those of the model's page of documentation. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Sum of the squares of the one-step errors within the series, and how many of them there are. */
  readonly sumOfSquares: number;
  readonly errorCount: number;
  /** How many numbers were estimated, the variance not counted. */
  readonly parameterCount: number;
}

export interface SeriesModel {
  readonly name: string;
  /** Null where the series is too short or not finite: the model does not know. Never throws. */
  fit(values: readonly number[]): FittedSeries | null;
}

export function isUsable(values: readonly number[], least: number): boolean {
  return values.length >= least && values.every(Number.isFinite);
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Akaike's criterion with the correction for short series, of Gaussian errors; infinite where there are too few. */
export function aiccOf({ sumOfSquares, errorCount, parameterCount }: FittedSeries): number {
  const k = parameterCount + 1;
  if (errorCount <= k + 1) return Infinity;
  // A perfect fit must not outweigh every other by an infinite margin.
  const variance = Math.max(sumOfSquares / errorCount, Number.MIN_VALUE);
  return errorCount * Math.log(variance) + 2 * k + (2 * k * (k + 1)) / (errorCount - k - 1);
}
