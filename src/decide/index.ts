// SPDX-License-Identifier: Apache-2.0
export { createAdaptivePolicy } from './adaptive.ts';
export { HOLD_DOWNTIME_LIMIT_MS } from './adaptive-state.ts';
export { fixedSettingNames } from './fixed-settings.ts';
export { livesByClock, type OutOfReach, peerIds, peerPolicy, PEERS_OUT_OF_REACH } from './peers/index.ts';
export { choosePlan, DEFAULT_WEIGHTS, type Plan, weighedOptions } from './plan.ts';
export type { PostcopyEntryOptions } from './postcopy-entry.ts';
export { policyByName, policyNames } from './registry.ts';
export { stepStall, type StallState } from './stall.ts';
export * from './gang/index.ts';
export * from './reservation/index.ts';
