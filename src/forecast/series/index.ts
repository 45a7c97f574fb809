// SPDX-License-Identifier: Apache-2.0
export { arima, arimaOf, type ArimaOrder } from './arima.ts';
export { chooseModel, rollingError, type SeriesChoice, seriesModels } from './choose.ts';
export { dampedHolt, ets, type EtsWeights, holtWinters, simpleSmoothing, smooth, startOf } from './ets.ts';
export { persistence, seasonalNaive } from './naive.ts';
export { fisherPValue, findPeriod, foldOver, type Period, periodogram } from './period.ts';
export { aiccOf, type FittedSeries, type SeriesModel } from './series-model.ts';
