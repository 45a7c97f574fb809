// SPDX-License-Identifier: Apache-2.0
// What holds where nothing else is known: QEMU's own parameters, and what a switchover and a socket take.

import type { Priority } from './gang.ts';
import type { ParameterValues } from './objective.ts';

/** As QEMU 10.0 starts. */
export const QEMU_PARAMETERS: ParameterValues = {
  maxBandwidthBytesPerSec: 134_217_728,
  maxPostcopyBandwidthBytesPerSec: 0,
  downtimeLimitMs: 300,
  availSwitchoverBandwidthBytesPerSec: 0,
  throttleTriggerPercent: 50,
  throttleInitialPercent: 20,
  throttleIncrementPercent: 10,
  throttleMaxPercent: 99,
  xbzrleCacheBytes: 67_108_864,
};

/**
 * STOP to RESUME beyond the transfer of the dirty set: saving, loading and starting the devices. Measured: 31 ms for an idle
 * guest at 1 Gbit/s. What is still queued in the socket (about 20 ms) and what QEMU sends between our decision and its next
 * look at the threshold (up to 50 ms) pull in opposite directions and are left to the error band.
 */
export const SWITCHOVER_MS = 30;

/** Linux' default limit of a TCP socket's send buffer: how much may wait ahead of anything urgent. */
export const SEND_QUEUE_BYTES = 4 * 1024 * 1024;

/** What a ms of a VM's completion weighs in a gang. */
export const PRIORITY_WEIGHTS: Readonly<Record<Priority, number>> = { high: 4, medium: 2, low: 1 };
