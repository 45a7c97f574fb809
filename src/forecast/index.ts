// SPDX-License-Identifier: Apache-2.0
export {
  liuGeometric,
  type MigrationInputs,
  mvmDuration,
  type PredictedMigration,
  qemuExpected,
} from './comparators.ts';
export { type ConvergencePoint, convergencePointOf } from './convergence-point.ts';
export {
  type CurvePoint,
  type CurvePoints,
  dirtyBytesWithin,
  fitDirtyCurve,
  withPoint,
} from './dirty-curve.ts';
export {
  foldObservation,
  type ForecastConfig,
  forecastOf,
  type ForecastState,
  initForecast,
  stepForecast,
} from './fold.ts';
export {
  DEFAULT_WORKING_SET,
  hasConverged,
  initialWorkingSet,
  stepWorkingSet,
  type WorkingSetState,
} from './working-set.ts';
export { type Dirtying, dirtyingOf, ownTimeOf, paceOf } from './pace.ts';
export { bandwidthNeededBytesPerMs, plateauOf, predictChoices, type Situation } from './predict.ts';
export { type CostQuestion, costOfProfile } from './profile-cost.ts';
export { type ProfileModel, readProfile, shiftProfile, zeroBytesOf } from './profile-model.ts';
export * from './series/index.ts';
export { predictReleased, type Released } from './release.ts';
export { chooseStart, precopyFrom, type StartChoice, type StartInputs } from './start-time.ts';
export { otherTrafficAhead } from './traffic.ts';
