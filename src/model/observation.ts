// SPDX-License-Identifier: Apache-2.0
// What was seen of a migration at one moment. Produced by observe/, read by forecast/, decide/ and record/.

import type { PageSummary } from './pages.ts';

/** QEMU's MigrationStatus. Unknown future states are kept as their text. */
export type MigrationStatus =
  | 'none'
  | 'setup'
  | 'cancelling'
  | 'cancelled'
  | 'active'
  | 'postcopy-active'
  | 'postcopy-paused'
  | 'postcopy-recover-setup'
  | 'postcopy-recover'
  | 'completed'
  | 'failed'
  | 'colo'
  | 'pre-switchover'
  | 'device'
  | 'wait-unplug'
  | (string & {});

/** One point of the dirtying curve, measured directly: `dirtyBytes` distinct bytes changed within `windowMs`. */
export interface DirtySample {
  readonly windowMs: number;
  readonly dirtyBytes: number;
}

/** Why the observation was taken: a round boundary, the interval between them, or a change of state. */
export type ObservationKind = 'round' | 'sample' | 'status';

/**
 * One reading of a migration. Times are milliseconds since the controller's start of this migration (monotonic).
 * A figure that QEMU did not report is null, never zero.
 */
export interface Observation {
  readonly kind: ObservationKind;
  readonly atMs: number;
  readonly status: MigrationStatus;
  /** QEMU's dirty-sync-count: 1 while the first pass runs. */
  readonly round: number;
  /** When the present round began, by MIGRATION_PASS (or by the poll that first saw it). */
  readonly roundStartMs: number;
  /** How long the round that ended at this boundary took; null in the first round and between boundaries. */
  readonly endedRoundMs: number | null;
  /** W_i: bytes dirty when the present round began; null in the first round (all memory) and where unknown. */
  readonly dirtyAtRoundStartBytes: number | null;
  /**
   * How much of W_i was not written in the round that ended but left unsent by it: QEMU syncs as soon as what is left would fit
   * into the downtime limit. Null between boundaries and where it cannot be told.
   */
  readonly unsentBytes: number | null;
  readonly remainingBytes: number | null;
  readonly totalBytes: number | null;
  readonly transferredBytes: number | null;
  /** Bytes of guest pages found all zero so far (they cross the link as a few bytes each). */
  readonly zeroBytes: number | null;
  /** Transfer rate over a window of 0.3 to 2 s of ours, not QEMU's last 100 ms. */
  readonly bandwidthBytesPerSec: number | null;
  /** QEMU's own figure, of its last 100 ms: what other tools go by. */
  readonly lastWindowBytesPerSec: number | null;
  /** Page requests of the destination that the source has received so far (post-copy). */
  readonly pageRequests: number | null;
  /** Whether the destination has said that its guest runs; null when nobody listens to it. */
  readonly destinationResumed: boolean | null;
  /** QEMU's own downtime, only when completed. */
  readonly qemuDowntimeMs: number | null;
  /** QEMU's own total time, only when completed. */
  readonly qemuTotalMs: number | null;
  /** Measured points of the dirtying curve that are new since the last observation. */
  readonly dirtySamples: readonly DirtySample[];
  /** The last sync of the dirty bitmap page by page, where it is new since the last observation and QEMU shows it. */
  readonly pages: PageSummary | null;
  /** Whether QEMU shows its pages at all. */
  readonly showsPages: boolean;
  readonly errorText: string | null;
}
