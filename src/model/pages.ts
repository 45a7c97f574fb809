// SPDX-License-Identifier: Apache-2.0
// What a patched QEMU shows of single pages, as sums: enough to decide by, small enough for every trace.

import type { DirtySample } from './observation.ts';

/**
 * Classes of heat. Class 0 was not seen dirty; class c from 1 to 16 holds heat 16 (c - 1) + (c = 1 ? 1 : 0) to 16 c - 1.
 * Heat is about 256 times the share of heat windows in which a page is dirty, the last few windows counting most.
 */
export const HEAT_CLASSES = 17;

/** The least heat of a class, 0 to 16. */
export function leastHeatOf(heatClass: number): number {
  return heatClass <= 1 ? heatClass : 16 * (heatClass - 1);
}

/** The class of a heat, 0 to 255. */
export function heatClassOf(heat: number): number {
  return heat === 0 ? 0 : 1 + Math.floor(heat / 16);
}

/** W_i: the pages that were written in a round. */
export interface RoundSet {
  readonly dirtiedPages: number;
  /** Of these, written in the round before, too: not new; null for the first. */
  readonly persistentPages: number | null;
  /** |W_i and W_(i-1)| / |W_i or W_(i-1)|, 1 where both are empty; null for the first. */
  readonly similarity: number | null;
}

/** One sync of the dirty bitmap, page by page, summed up. */
export interface PageSummary {
  readonly pageSizeBytes: number;
  /** Since the sync before. */
  readonly intervalMs: number;
  /** What the sync took. */
  readonly syncMs: number;
  /** Written since the sync before. */
  readonly dirtiedPages: number;
  /** To be sent, those just dirtied included; null before a migration. */
  readonly pendingPages: number | null;
  /** Of these, left out of pre-copy; null before a migration. */
  readonly deferredPages: number | null;
  /** Whether the sync ended a round: everything had been sent but what is deferred. Null before a migration. */
  readonly endsRound: boolean | null;
  /** What was written in the round that the sync ended; null where it ended none. */
  readonly round: RoundSet | null;
  /** The heat window that ended with the sync: distinct bytes written within it; null where none did. */
  readonly window: DirtySample | null;
  /** Pages by class of heat. */
  readonly pagesByHeat: readonly number[];
  /** Length of a heat window. */
  readonly heatWindowMs: number;
  /** For how long the guest has been watched. */
  readonly watchedMs: number;
}
