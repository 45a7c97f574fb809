// SPDX-License-Identifier: Apache-2.0
// Bytes and bandwidth of whole rounds, for peers that measure by rounds and not by QEMU's last 100 ms.

import type { Observation } from '../../model/index.ts';

/** The last round boundary. */
export interface RoundMark {
  readonly atMs: number;
  readonly transferredBytes: number;
}

export const startOfMigration: RoundMark = { atMs: 0, transferredBytes: 0 };

export function markOf(observation: Observation): RoundMark {
  return { atMs: observation.atMs, transferredBytes: observation.transferredBytes ?? 0 };
}

/** What the round that has just ended put on the wire; null where unknown. */
export function sentSince(mark: RoundMark, { transferredBytes }: Observation): number | null {
  return transferredBytes === null || transferredBytes <= mark.transferredBytes
    ? null
    : transferredBytes - mark.transferredBytes;
}

/** Bytes/s over the round that has just ended; our own window's where that is unknown. */
export function roundBandwidth(mark: RoundMark, observation: Observation): number | null {
  const sentBytes = sentSince(mark, observation);
  const tookMs = observation.atMs - mark.atMs;
  return sentBytes === null || tookMs <= 0 ? observation.bandwidthBytesPerSec : (sentBytes / tookMs) * 1000;
}
