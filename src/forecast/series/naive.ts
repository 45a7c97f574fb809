// SPDX-License-Identifier: Apache-2.0
// The models that every other has to beat: the next value is the last one, or the one a period ago.

import { type FittedSeries, isUsable, type SeriesModel } from './series-model.ts';

/** y(t+h) = y(t). docs/forecasts/persistence.md */
export const persistence: SeriesModel = {
  name: 'persistence',
  fit: (values) => (isUsable(values, 1) ? repeating(values, 1) : null),
};

/** y(t+h) = y(t+h-P). docs/forecasts/seasonal-naive.md */
export function seasonalNaive(periodSteps: number): SeriesModel {
  return {
    name: 'seasonal-naive',
    fit: (values) =>
      Number.isInteger(periodSteps) && periodSteps >= 1 && isUsable(values, periodSteps)
        ? repeating(values, periodSteps)
        : null,
  };
}

function repeating(values: readonly number[], periodSteps: number): FittedSeries {
  const last = values.slice(-periodSteps);
  const errors = values.slice(periodSteps).map((value, i) => value - (values[i] ?? 0));
  return {
    forecast: (steps) => Array.from({ length: steps }, (_, h) => last[h % periodSteps] ?? 0),
    parameters: { periodSteps },
    sumOfSquares: errors.reduce((sum, error) => sum + error * error, 0),
    errorCount: errors.length,
    parameterCount: 0,
  };
}
