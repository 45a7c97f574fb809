// SPDX-License-Identifier: Apache-2.0
// Which model of a series to believe: the one whose forecasts, made again and again from a moving origin, were least wrong.
// Persistence is always among them, so that nothing is believed that does no better than it. docs/forecasts/choice.md

import { arima } from './arima.ts';
import { ets } from './ets.ts';
import { persistence, seasonalNaive } from './naive.ts';
import { findPeriod } from './period.ts';
import type { FittedSeries, SeriesModel } from './series-model.ts';

export interface SeriesChoice {
  readonly model: SeriesModel;
  readonly fitted: FittedSeries;
  /** Mean absolute error of its one-step forecasts, and persistence's on the same. */
  readonly error: number;
  readonly persistenceError: number;
}

/** From the middle of the series on; refitting at each origin would cost more than it tells. */
const ORIGINS = 12;
/** A model has to do better than persistence by this share, or chance decides. */
const MARGIN = 0.95;

/** The models there are; `periodSteps` as found, rounded; null: none. */
export function seriesModels(periodSteps: number | null): SeriesModel[] {
  return [
    persistence,
    ...(periodSteps === null ? [] : [seasonalNaive(periodSteps)]),
    ets(periodSteps),
    arima,
  ];
}

/** Mean absolute one-step error over the last origins; null where the model does not know at some. */
export function rollingError(
  values: readonly number[],
  model: SeriesModel,
  origins = ORIGINS,
): number | null {
  const first = Math.max(Math.ceil(values.length / 2), values.length - origins);
  let sum = 0;
  let count = 0;
  for (let origin = first; origin < values.length; origin++) {
    const next = model.fit(values.slice(0, origin))?.forecast(1)[0];
    if (next === undefined || !Number.isFinite(next)) return null;
    sum += Math.abs(next - (values[origin] ?? 0));
    count += 1;
  }
  return count === 0 ? null : sum / count;
}

/** The model to believe; null where not even persistence can be had. Never throws. */
export function chooseModel(values: readonly number[], only?: string): SeriesChoice | null {
  const persistenceError = rollingError(values, persistence);
  const last = persistence.fit(values);
  if (last === null) return null;
  let best: SeriesChoice = {
    model: persistence,
    fitted: last,
    error: persistenceError ?? 0,
    persistenceError: persistenceError ?? 0,
  };
  if (persistenceError === null) return best;
  const period = findPeriod(values);
  for (const model of seriesModels(period === null ? null : Math.round(period.steps))) {
    if (only !== undefined && model.name !== only) continue;
    const error = rollingError(values, model);
    const fitted = error === null ? null : model.fit(values);
    if (error === null || fitted === null) continue;
    const wins = only !== undefined || error < best.error * (best.model === persistence ? MARGIN : 1);
    if (wins) best = { model, fitted, error, persistenceError };
  }
  return best;
}
