// SPDX-License-Identifier: Apache-2.0
// What a policy is told at the begin of a simulated migration.

import {
  type Objective,
  type PolicyContext,
  QEMU_PARAMETERS,
  SEND_QUEUE_BYTES,
  SWITCHOVER_MS,
} from '../model/index.ts';

export interface ModelSetting {
  readonly objective: Objective;
  readonly memoryBytes: number;
  /** What one TCP stream carries. */
  readonly linkBytesPerSec: number;
  /** QEMU's own limit; 0: none; null: a QEMU that has no such parameter. */
  readonly maxBandwidthBytesPerSec: number | null;
}

/** On a stock QEMU, of a guest that nobody has watched: what is different is for the caller to say. */
export function modelContext({
  objective,
  memoryBytes,
  linkBytesPerSec,
  maxBandwidthBytesPerSec,
}: ModelSetting): PolicyContext {
  const mayPostcopy = objective.postcopy !== 'forbidden';
  return {
    objective,
    memoryBytes,
    linkBytesPerSec,
    postcopyReady: mayPostcopy,
    preemptReady: mayPostcopy,
    parameters: { ...QEMU_PARAMETERS, maxBandwidthBytesPerSec },
    switchoverMs: SWITCHOVER_MS,
    sendQueueBytes: SEND_QUEUE_BYTES,
    shortensQueue: false,
    pacesPostcopy: false,
    profile: null,
    pages: null,
  };
}
