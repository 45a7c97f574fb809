// SPDX-License-Identifier: Apache-2.0
// What others would predict of a pre-copy migration, for comparison on the same runs; nothing is decided by them.
// docs/forecasts/comparators.md

/** What the geometric model and mVM's know of a guest and its link. */
export interface MigrationInputs {
  readonly memoryBytes: number;
  readonly bandwidthBytesPerSec: number;
  /** Distinct bytes dirtied per second, as one window showed it. */
  readonly dirtyBytesPerSec: number;
  /** The largest dirty set seen, and how long the window was in which it was. */
  readonly hotBytes: number;
  readonly hotMs: number;
  /** Beyond the hot set. */
  readonly coldBytesPerSec: number;
  readonly maxDowntimeMs: number;
}

export interface PredictedMigration {
  /** Infinite: does not converge. */
  readonly tmtMs: number;
  readonly downtimeMs: number;
}

const MAX_ROUNDS = 30;

/**
 * Liu et al. (2011): rounds are a geometric series of ratio lambda = D/R, V_i = V lambda^i, until one takes no longer than
 * the maximum downtime: T = V/R (1 - lambda^(n+1))/(1 - lambda). Worked example: 1024 MB, 125 MB/s, 10.24 MB/s, n = 3: 8.923 s.
 */
export function liuGeometric(inputs: MigrationInputs): PredictedMigration {
  const { memoryBytes, bandwidthBytesPerSec, dirtyBytesPerSec, maxDowntimeMs } = inputs;
  const lambda = dirtyBytesPerSec / bandwidthBytesPerSec;
  let roundMs = (memoryBytes / bandwidthBytesPerSec) * 1000;
  let tmtMs = roundMs;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (roundMs <= maxDowntimeMs) return { tmtMs, downtimeMs: roundMs };
    roundMs *= lambda;
    tmtMs += roundMs;
  }
  return lambda >= 1 ? { tmtMs: Infinity, downtimeMs: roundMs } : { tmtMs, downtimeMs: roundMs };
}

/**
 * mVM's duration (BtrPlace, 2017): with B the bandwidth, d0 = mem/B, HDS the hot set dirtied in HDD, CDR beyond it,
 *
 *     d0 > HDD:  d = d0 + (HDS + (d0 - HDD) CDR)/(B - CDR) + (HDS/B)(HDS/HDD)/(B - HDS/HDD),
 *     else       d = d0 + (HDS/HDD) d0/(B - HDS/HDD).
 *
 * Its B is the link's Mbit/s over 9; here it is the bandwidth that was measured. Worked example: 1024 MB at 111.1 MB/s, idle
 * (5 MB in 2 s): 9.262 s. Infinite where a denominator is not positive: it knows of no such migration.
 */
export function mvmDuration(inputs: MigrationInputs): PredictedMigration {
  const { memoryBytes, bandwidthBytesPerSec: bandwidth, hotBytes, hotMs, coldBytesPerSec } = inputs;
  const d0 = memoryBytes / bandwidth;
  const hotSec = hotMs / 1000;
  const hotRate = hotBytes / hotSec;
  if (bandwidth <= hotRate || bandwidth <= coldBytesPerSec) return { tmtMs: Infinity, downtimeMs: Infinity };
  const last = (hotBytes / bandwidth) * (hotRate / (bandwidth - hotRate));
  const seconds =
    d0 > hotSec
      ? d0 + (hotBytes + (d0 - hotSec) * coldBytesPerSec) / (bandwidth - coldBytesPerSec) + last
      : d0 + (hotRate * d0) / (bandwidth - hotRate);
  return { tmtMs: seconds * 1000, downtimeMs: (hotBytes / bandwidth) * 1000 };
}

/** QEMU's own word, expected-downtime = what is dirty over the bandwidth, taken for the end: if it stopped the guest now. */
export function qemuExpected(
  atMs: number,
  remainingBytes: number,
  bandwidthBytesPerSec: number,
): PredictedMigration {
  const downtimeMs = (remainingBytes / bandwidthBytesPerSec) * 1000;
  return { tmtMs: atMs + downtimeMs, downtimeMs };
}
