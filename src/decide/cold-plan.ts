// SPDX-License-Identifier: Apache-2.0
// Where a guest writes all over its memory, if rarely: how much of what was not seen written yet a first pass is worth sending.

import type { CostWeights, PageSummary } from '../model/index.ts';
import { type FirstWrites, firstWrittenShare } from './first-writes.ts';
import { pageCosts, type PageCosts } from './page-plan.ts';

/** Of the memory: a pass that would have less of it sent twice is not cut short. A choice. */
const LEAST_SPARED = 0.01;

/**
 * The share of such a memory after which the pass is over. One more millisecond of it has the pages that were sent written again at the pace
 * of all, and each of those costs its time on the link; left to the push, the 1/s pages that it would have sent are wanted at the same
 * pace for as long as the push takes. With a share x of N pages sent, and a pace of r:
 *
 *     x N r sendMs  >  r (1 - x) N stallMs
 *
 * Worked example, 4 KiB at 117 MB/s (0.035 ms to send, 0.05 for a wait): 0.05 / (0.05 + 0.035) = 0.59; at ten times the bandwidth 0.93.
 */
function worthSendingShare({ sendMs, stallMs }: PageCosts): number {
  return sendMs === 0 ? 1 : stallMs / (stallMs + sendMs);
}

interface ColdPlan {
  /** Of what was not seen written yet, to be left out of the pass. */
  readonly coldBytes: number;
  /** What that spares of being sent twice. */
  readonly sparedBytes: number;
}

/**
 * Beside the hot pages that are left out (`deferredBytes`), with post-copy to follow. Of the pages that a pass has sent, on average half of
 * it before its end, a share is written by then; cut short when a share x is sent it has x^2 of them sent twice.
 *
 * Worked example: 450 MiB not seen written of 512 at 117 MB/s, a pass of 4 s, 4 in 100,000 written per ms: 7.8 % of them, 34.9 MiB. Cut
 * short at x = 0.59: 22.8 MiB spared, more than 5.1; 210 MiB are left then, of which 50 MiB are hot: 160 MiB.
 */
export function planCold(
  { pagesByHeat, pageSizeBytes }: PageSummary,
  bandwidthBytesPerSec: number,
  deferredBytes: number,
  firstWrites: FirstWrites | null,
  weights?: CostWeights,
): ColdPlan {
  const totalBytes = pagesByHeat.reduce((sum, each) => sum + each, 0) * pageSizeBytes;
  const unseenBytes = (pagesByHeat[0] ?? 0) * pageSizeBytes;
  const passMs = (unseenBytes / bandwidthBytesPerSec) * 1000;
  const share = worthSendingShare(pageCosts(pageSizeBytes, bandwidthBytesPerSec, weights));
  const sparedBytes = unseenBytes * firstWrittenShare(firstWrites, passMs / 2) * (1 - share ** 2);
  const coldBytes = Math.min(unseenBytes, (1 - share) * totalBytes - deferredBytes);
  return sparedBytes > totalBytes * LEAST_SPARED && coldBytes > 0
    ? { coldBytes, sparedBytes }
    : { coldBytes: 0, sparedBytes: 0 };
}
