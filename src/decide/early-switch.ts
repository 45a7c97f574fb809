// SPDX-License-Identifier: Apache-2.0
// When to go post-copy in the first pass already. Where pre-copy is hopeless, every page that is sent early is a page that
// may be dirtied again and sent once more, so the earliest switch has the least total time. But what has not crossed is
// missing at first, and each page that the guest needs to answer is one more fault in a row. So: the earliest moment at
// which the guest's silence is forecast to stay within the maximum downtime; at the end of the pass where it never does.

import type { Forecast, Objective } from '../model/index.ts';

// Fitted to the guest of the demo and to redis (512 MiB, 100 Mbit/s to 8 Gbit/s; bench/README.md), not to the guests of the
// convergence experiment. Silence = overhead + faults x time of a fault; with all memory sent but the dirty pages a guest
// needs some 50 of them to answer, with nothing sent three times as many.
const FAULTS_OF_DIRTY_PAGES = 50;
const FAULTS_OF_UNSENT_PAGES = 100;
/** Of a page request on an idle link: fault, request, answer, wake-up. */
const FAULT_MS = 0.8;
/** What a page waits behind in the switch's buffer while the background push fills it. */
const LINK_QUEUE_BYTES = 400_000;

/**
 * The share of the memory after whose transfer the guest's silence is forecast to be within the limit, 0 to 1; null while
 * the bandwidth is not known.
 *
 * Worked example: 117 MB/s, overhead 30 ms, limit 300 ms: a fault takes 0.8 + 3.4 = 4.2 ms, so 64 of them are allowed, 14
 * of which may be of unsent pages: 0.86 of the memory must have crossed.
 */
export function shareBeforeSwitch(forecast: Forecast, { maxDowntimeMs }: Objective): number | null {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (bandwidth === null || bandwidth <= 0) return null;
  const faultMs = FAULT_MS + (LINK_QUEUE_BYTES / bandwidth) * 1000;
  const faults = (maxDowntimeMs - forecast.downtimeOverheadMs) / faultMs;
  const unsentRatio = (faults - FAULTS_OF_DIRTY_PAGES) / FAULTS_OF_UNSENT_PAGES;
  return 1 - Math.min(1, Math.max(0, unsentRatio));
}
