// SPDX-License-Identifier: Apache-2.0
export { prepareGang, runGang } from './fleet.ts';
export type { GangOutcome, MemberOutcome } from './outcome.ts';
export { GangPlanError, parseGangPlan } from './parse-plan.ts';
export { GANG_SCHEMA, type GangHost, type GangMember, type GangPlanFile } from './plan.ts';
export {
  type GangDeps,
  type GangProgress,
  type GangReporter,
  type MemberProgress,
  type PlannedGang,
} from './types.ts';
