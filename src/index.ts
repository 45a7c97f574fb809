// SPDX-License-Identifier: Apache-2.0
// The public entry of the package `slackwater`: what a program, the testbed or a user's policy may use.

export * from './common/index.ts';
export * from './control/index.ts';
export {
  createAdaptivePolicy,
  fixedSettingNames,
  policyByName,
  policyNames,
  type PostcopyEntryOptions,
} from './decide/index.ts';
export type * from './model/index.ts';
export { readTrace, type Trace, type TraceRow } from './record/index.ts';
