// SPDX-License-Identifier: Apache-2.0
export { ExperimentError } from './errors.ts';
export { type Estimate, estimateMs, type EstimateOptions } from './estimate.ts';
export { expandExperiment, type PlannedRun } from './expand.ts';
export { filterRuns } from './filter.ts';
export {
  linkRateBytesPerSec,
  NAMED_LINKS,
  TCP_BYTES_PER_FRAME,
  tcpGoodputBytesPerSec,
  WIRE_BYTES_PER_FRAME,
} from './links.ts';
export {
  cellIsHopeless,
  DEFAULT_ATTEMPTS,
  latestAttempts,
  MAX_FAILED_ATTEMPTS,
  nextRun,
  runStates,
  type RunState,
} from './next-run.ts';
export {
  bestSetting,
  ORACLE,
  SEARCH_REPEATS,
  searchedSettings,
  type SearchedSetting,
  searchPolicyName,
} from './oracle.ts';
export { parseExperiment } from './parse.ts';
export { parseRunRecords } from './records.ts';
export { cellKey, runKey } from './run-key.ts';
export { type AppFigures, RUN_SCHEMA, type RunRecord, type RunSeries } from './run-record.ts';
export { scaledTimeFactor } from './scaled-time.ts';
export * from './traffic/index.ts';
export * from './workload/index.ts';
export {
  type Bound,
  CONTROL_GUEST_NAME,
  type ControlPlan,
  type Experiment,
  EXPERIMENT_SCHEMA,
  type ExperimentGuest,
  type ExperimentHosts,
  type ExperimentPolicy,
  type MigrationHost,
  type PolicySource,
} from './schema.ts';
