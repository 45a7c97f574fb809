// SPDX-License-Identifier: Apache-2.0
// How fast the guest makes clean pages dirty, from what is left to send at two looks: what was there, less what was sent since,
// is what would be left without it.

import type { Observation, PageSummary } from '../model/index.ts';

export interface FreshDirt {
  readonly atMs: number;
  readonly leftBytes: number;
  readonly sentBytes: number;
  /** Between the last two looks that were far enough apart; null: not known yet. */
  readonly bytesPerSec: number | null;
}

/** Over less than that what waits in QEMU's socket would tell more than the guest does. */
const LEAST_MS = 100;

/**
 * With one more look. Zero pages leave without being sent, so that among many of them less is told than there is. Worked example:
 * 28.9 MB are left at 1469 ms, 30.6 MB at 1635 ms with 19.5 MB sent since: 21.2 MB in 166 ms, 128 MB/s.
 */
export function stepFreshDirt(
  before: FreshDirt | null,
  { atMs, transferredBytes: sentBytes }: Observation,
  { pendingPages, pageSizeBytes }: PageSummary,
): FreshDirt | null {
  if (sentBytes === null || pendingPages === null) return before;
  const leftBytes = pendingPages * pageSizeBytes;
  if (before === null) return { atMs, leftBytes, sentBytes, bytesPerSec: null };
  const passedMs = atMs - before.atMs;
  if (passedMs < LEAST_MS) return before;
  const freshBytes = leftBytes - before.leftBytes + (sentBytes - before.sentBytes);
  return { atMs, leftBytes, sentBytes, bytesPerSec: (Math.max(0, freshBytes) / passedMs) * 1000 };
}
