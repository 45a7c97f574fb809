// SPDX-License-Identifier: Apache-2.0
// What a policy knows before the first observation: QEMU's own defaults, a guest of 512 MiB; tests say what is different.

import {
  type Objective,
  type PolicyContext,
  QEMU_PARAMETERS,
  SEND_QUEUE_BYTES,
  SWITCHOVER_MS,
} from '../../../src/model/index.ts';
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
    parameters: QEMU_PARAMETERS,
    switchoverMs: SWITCHOVER_MS,
    sendQueueBytes: SEND_QUEUE_BYTES,
    shortensQueue: false,
    pacesPostcopy: false,
    linkBytesPerSec: null,
    profile: null,
    pages: null,
    ...fields,
  };
}
