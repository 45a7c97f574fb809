// SPDX-License-Identifier: Apache-2.0
// What the operator wants of a migration, and what the two QEMUs offer: the fixed frame a policy decides in.

import type { PageSummary } from './pages.ts';
import type { GuestProfile } from './profile.ts';

export type PostcopyUse = 'allowed' | 'required' | 'forbidden';

/**
 * What a migration costs, as the operator sees it: the sum of these weights times the figures. All in ms of total time, so
 * that a total time of 1 s and a downtime of 100 ms weigh 1100 with the weights 1 and 1.
 */
export interface CostWeights {
  /** Of a ms of total migration time. */
  readonly tmt: number;
  /** Of a ms of downtime (STOP to RESUME). */
  readonly downtime: number;
  /** Of a ms of the guest's work lost otherwise: slowed down, or waiting for pages that are missing. */
  readonly slowdown: number;
  /** Of the bytes sent, in ms per MB. */
  readonly bytes: number;
}

/** When the pages that a guest writes are taken to be the same round after round. */
export interface WorkingSetConfig {
  /** Of the sets of two rounds: what is in both, over what is in either. */
  readonly minSimilarity: number;
  /** By how much the later set may differ in size, over the size of the earlier one. */
  readonly maxSizeChangeRatio: number;
  /** Successive rounds that must be alike. */
  readonly rounds: number;
}

export interface Objective {
  /** Hard limit of STOP to RESUME; never exceeded knowingly. */
  readonly maxDowntimeMs: number;
  /** A higher ceiling that the operator allowed explicitly for a guest that cannot meet the limit; null: none. */
  readonly allowDowntimeMs: number | null;
  /** The migration should be over by then, counted from the migrate command; null: no hurry. */
  readonly deadlineMs: number | null;
  readonly postcopy: PostcopyUse;
  /** What to weigh the ways that keep the limits by; absent: `DEFAULT_WEIGHTS` of decide. */
  readonly weights?: CostWeights;
  /** When another round is taken to bring nothing more; absent: `DEFAULT_WORKING_SET` of forecast. */
  readonly workingSet?: WorkingSetConfig;
}

/** The migration parameters that policies may set, in units. Absent: leave alone. Zero bandwidth: unlimited. */
export interface ParameterChange {
  readonly maxBandwidthBytesPerSec?: number;
  readonly maxPostcopyBandwidthBytesPerSec?: number;
  readonly downtimeLimitMs?: number;
  readonly availSwitchoverBandwidthBytesPerSec?: number;
  /** Of auto-converge: dirtied over sent in a round, from which the guest is throttled. */
  readonly throttleTriggerPercent?: number;
  readonly throttleInitialPercent?: number;
  readonly throttleIncrementPercent?: number;
  readonly throttleMaxPercent?: number;
  readonly xbzrleCacheBytes?: number;
}

/** The same parameters as read from QEMU; null where this QEMU does not have one. */
export interface ParameterValues {
  readonly maxBandwidthBytesPerSec: number | null;
  readonly maxPostcopyBandwidthBytesPerSec: number | null;
  readonly downtimeLimitMs: number | null;
  readonly availSwitchoverBandwidthBytesPerSec: number | null;
  readonly throttleTriggerPercent: number | null;
  readonly throttleInitialPercent: number | null;
  readonly throttleIncrementPercent: number | null;
  readonly throttleMaxPercent: number | null;
  readonly xbzrleCacheBytes: number | null;
}

/** What a policy knows before the first observation. */
export interface PolicyContext {
  readonly objective: Objective;
  /** The guest's memory. */
  readonly memoryBytes: number;
  /** Post-copy is enabled on both ends of this migration. */
  readonly postcopyReady: boolean;
  /** Page requests travel on a channel of their own. */
  readonly preemptReady: boolean;
  /** The parameters as the operator left them, `--bandwidth` applied. */
  readonly parameters: ParameterValues;
  /** STOP to RESUME beyond the transfer, as far as known beforehand. */
  readonly switchoverMs: number;
  /** How many bytes may wait in the source's socket, ahead of anything urgent. */
  readonly sendQueueBytes: number;
  /** That queue can be made short before a switch to post-copy (`shorten-queue`). */
  readonly shortensQueue: boolean;
  /** QEMU spreads the background pages of post-copy evenly where max-postcopy-bandwidth limits them (patched QEMU). */
  readonly pacesPostcopy: boolean;
  /** What the link carries, where the operator knows it; null: measured on the way. */
  readonly linkBytesPerSec: number | null;
  /** What was seen of the guest before the migration; null where it was not looked at. */
  readonly profile: GuestProfile | null;
  /** What was seen of the guest's pages before the migration; null where QEMU does not show them, or lend its levers. */
  readonly pages: PageSummary | null;
}
