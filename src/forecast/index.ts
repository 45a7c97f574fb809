// SPDX-License-Identifier: Apache-2.0
export {
  type CurvePoint,
  type CurvePoints,
  dirtyBytesWithin,
  fitDirtyCurve,
  withPoint,
} from './dirty-curve.ts';
export { type ForecastConfig, type ForecastState, initForecast, stepForecast } from './fold.ts';
export {
  DEFAULT_WORKING_SET,
  hasConverged,
  initialWorkingSet,
  stepWorkingSet,
  type WorkingSetConfig,
  type WorkingSetState,
} from './working-set.ts';
export { bandwidthNeededBytesPerMs, plateauOf, predictChoices, type Situation } from './predict.ts';
