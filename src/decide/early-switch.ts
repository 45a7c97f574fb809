// SPDX-License-Identifier: Apache-2.0
// When to go post-copy in the first pass already. Where pre-copy is hopeless, every page that is sent early is a page that
// may be dirtied again and sent once more, so the earliest switch has the least total time. But what has not crossed is
// missing at first, and each page that the guest needs to answer is one more fault in a row. So: the earliest moment at
// which the guest's silence is forecast to stay within the maximum downtime; at the end of the pass where it never does.

import type { Forecast, PolicyContext } from '../model/index.ts';

// Silence = overhead + faults x time of a fault; with all memory sent but the dirty pages a guest needs some 50 of them to answer,
// with nothing sent three times as many. With a long queue fitted to the guest of the demo and to redis (512 MiB, 100 Mbit/s to
// 8 Gbit/s), with a short one to redis and memcached (512 MiB, 1 Gbit/s) and a guest of 256 MiB that rewrites 64 MiB (100 and
// 300 Mbit/s, 8 Gbit/s): bench/README.md.
const FAULTS_OF_DIRTY_PAGES = 50;
const FAULTS_OF_UNSENT_PAGES = 100;
/** Of a page request on an idle link: fault, request, answer, wake-up. */
const FAULT_MS = 0.8;
/** What a page waits behind while the background push goes on, as bytes of the link's rate: what stands in socket and network. */
const QUEUE_BYTES = 400_000;
/**
 * All that a page request takes where the queue is short and paced, as bytes of the link's rate. The push leaves in bursts of 64 KiB then:
 * a page waits behind one, and the next request for the acknowledgement that the next one carries (Nagle, at the destination).
 */
const PACED_REQUEST_BYTES = 190_000;

/** From a page request to the page, while the background push goes on. */
function pageRequestMs(bandwidthBytesPerSec: number, { shortensQueue }: PolicyContext): number {
  const msOf = (bytes: number): number => (bytes / bandwidthBytesPerSec) * 1000;
  return shortensQueue ? msOf(PACED_REQUEST_BYTES) : FAULT_MS + msOf(QUEUE_BYTES);
}

/** The guest's silence after a switch when nothing is unsent but dirty pages, with the background push going on. */
export function leastSilenceMs(bandwidthBytesPerSec: number, context: PolicyContext): number {
  return context.switchoverMs + FAULTS_OF_DIRTY_PAGES * pageRequestMs(bandwidthBytesPerSec, context);
}

/**
 * The share of the memory after whose transfer the guest's silence is forecast to be within the limit, 0 to 1; null while
 * the bandwidth is not known.
 *
 * Worked example: 117 MB/s, overhead 30 ms, limit 300 ms: a fault takes 0.8 + 3.4 = 4.2 ms, so 64 of them are allowed, 14
 * of which may be of unsent pages: 0.86 of the memory must have crossed. With a short queue 1.62 ms, 166 faults: none of it; at
 * 60 MB/s 3.2 ms, 85 faults, 35 of which may be of unsent pages: 0.65.
 */
export function shareBeforeSwitch(forecast: Forecast, context: PolicyContext): number | null {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (bandwidth === null || bandwidth <= 0) return null;
  const { maxDowntimeMs } = context.objective;
  const faults = (maxDowntimeMs - forecast.downtimeOverheadMs) / pageRequestMs(bandwidth, context);
  const unsentRatio = (faults - FAULTS_OF_DIRTY_PAGES) / FAULTS_OF_UNSENT_PAGES;
  return 1 - Math.min(1, Math.max(0, unsentRatio));
}
