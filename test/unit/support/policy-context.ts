// SPDX-License-Identifier: Apache-2.0
// What a policy knows before the first observation: QEMU's own defaults, a guest of 512 MiB; tests say what is different.

import type { Objective, PolicyContext } from '../../../src/model/index.ts';
import { MIB } from './observation.ts';

export const OBJECTIVE: Objective = {
  maxDowntimeMs: 300,
  allowDowntimeMs: null,
  deadlineMs: null,
  postcopy: 'allowed',
};

export function policyContext(fields: Partial<PolicyContext> = {}): PolicyContext {
  return {
    objective: OBJECTIVE,
    memoryBytes: 512 * MIB,
    postcopyReady: true,
    preemptReady: true,
    parameters: {
      maxBandwidthBytesPerSec: 134_217_728,
      maxPostcopyBandwidthBytesPerSec: 0,
      downtimeLimitMs: 300,
      availSwitchoverBandwidthBytesPerSec: 0,
      throttleTriggerPercent: 50,
      throttleInitialPercent: 20,
      throttleIncrementPercent: 10,
      throttleMaxPercent: 99,
      xbzrleCacheBytes: 64 * MIB,
    },
    switchoverMs: 30,
    sendQueueBytes: 4 * MIB,
    pacesPostcopy: false,
    linkBytesPerSec: null,
    profile: null,
    pages: null,
    ...fields,
  };
}
