// SPDX-License-Identifier: Apache-2.0
// The second round of a 512 MiB guest with 64 MiB hot at 1 Gbit/s, as an observation; tests say what is different.

import type { Observation } from '../../../src/model/index.ts';

export const MIB = 1024 * 1024;
/** What one TCP stream carries on 1 Gbit/s. */
export const GIGABIT_BYTES_PER_SEC = 117e6;

export function observation(fields: Partial<Observation>): Observation {
  return {
    kind: 'round',
    atMs: 4600,
    status: 'active',
    round: 2,
    roundStartMs: 4600,
    endedRoundMs: 4500,
    dirtyAtRoundStartBytes: 64 * MIB,
    unsentBytes: null,
    remainingBytes: 64 * MIB,
    totalBytes: 512 * MIB,
    transferredBytes: 480 * MIB,
    zeroBytes: 0,
    bandwidthBytesPerSec: GIGABIT_BYTES_PER_SEC,
    lastWindowBytesPerSec: GIGABIT_BYTES_PER_SEC,
    pageRequests: 0,
    destinationResumed: false,
    qemuDowntimeMs: null,
    qemuTotalMs: null,
    dirtySamples: [],
    pages: null,
    showsPages: fields.pages !== undefined && fields.pages !== null,
    errorText: null,
    ...fields,
  };
}
