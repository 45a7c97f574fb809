// SPDX-License-Identifier: Apache-2.0
export { type Amount, amountBytes } from './amount.ts';
export { parseWorkload } from './parse-workload.ts';
export type {
  BurstPattern,
  DriftPattern,
  IdlePattern,
  PatternWindow,
  Phase,
  PhasesPattern,
  ReadMostlyPattern,
  SegmentPattern,
  SteadyPattern,
  WritePattern,
  ZipfPattern,
} from './pattern.ts';
export { ownMib, patternOf } from './pattern-of.ts';
export {
  APP_NAMES,
  type AppName,
  type AppTemplate,
  type PatternTemplate,
  type SegmentTemplate,
  WORKLOAD_SCHEMA,
  type Workload,
  worksByTurns,
} from './workload.ts';
export { WorkloadError } from './workload-error.ts';
