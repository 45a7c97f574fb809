// SPDX-License-Identifier: Apache-2.0
export {
  clusterOf,
  type Contention,
  contentionOf,
  type ContentionThresholds,
  DEFAULT_THRESHOLDS,
  fuzzyInbound,
  type Scenario,
  scenarioOf,
  type TrafficDirection,
} from './cluster.ts';
export { isLate } from './late.ts';
export { bestOrder, compareSchedules, type Job, type Scheduled, scheduleOf } from './order.ts';
export {
  gangPolicies,
  type GangPolicy,
  gangPolicyByName,
  type GangPolicyOptions,
  migrationBandwidth,
} from './policies.ts';
export { startsNow, type VmPhase } from './starts.ts';
export { type TableRow, tableRow } from './technique-table.ts';
