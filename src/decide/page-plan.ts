// SPDX-License-Identifier: Apache-2.0
// Which pages to leave out of pre-copy, as arithmetic over how hot pages are. A page that is deferred crosses the link
// once, at the end; one that is not crosses it now, and again where the guest writes it meanwhile.

import { type CostWeights, leastHeatOf, type PageSummary } from '../model/index.ts';
import { DEFAULT_WEIGHTS } from './plan.ts';

export interface DeferralPlan {
  /** Pages of at least this heat are left out; null: none is worth it. */
  readonly leastHeat: number | null;
  readonly deferredBytes: number;
  /** Bytes of them that are expected not to be sent twice. */
  readonly savedBytes: number;
  /** How long the guest is expected to stand still for pages that would have been there, had they not been left out. */
  readonly stallMs: number;
  /** Of the pages that were not seen written yet, left out as well (see `planCold`). */
  readonly coldBytes: number;
}

/**
 * What a millisecond of a guest's stall for a page costs beside one of total time: it has other things to do, and other
 * vCPUs. A choice (bench/README.md): with 0.075 a third of a set that is rewritten every 1.3 s was sent twice.
 */
const STALL_WEIGHT = 0.05;

/** From a page request to the page, behind the background push; measured 0.4 to 3 ms at 1 Gbit/s. */
const FAULT_MS = 1;

/** What a page costs, in ms of total time by the operator's weights. */
export interface PageCosts {
  /** To send it once. */
  readonly sendMs: number;
  /** To have the guest wait for it. */
  readonly stallMs: number;
}

/** Worked example: 4 KiB at 117 MB/s, every weight 1 and bytes 0: 0.035 to send, 0.05 to wait for. */
export function pageCosts(
  pageSizeBytes: number,
  bandwidthBytesPerSec: number,
  weights: CostWeights = DEFAULT_WEIGHTS,
): PageCosts {
  return {
    sendMs:
      (pageSizeBytes / bandwidthBytesPerSec) * 1000 * weights.tmt + (pageSizeBytes / 1e6) * weights.bytes,
    stallMs: STALL_WEIGHT * FAULT_MS * weights.slowdown,
  };
}

/** The chance that a page dirty in a share `f` of windows of `windowMs` is written within `ms`: 1 - (1 - f)^(ms/window). */
function chanceWithin(f: number, windowMs: number, ms: number): number {
  return 1 - (1 - f) ** (ms / windowMs);
}

/**
 * Distinct bytes that the guest is expected to write within `ms`, as far as it has been seen to write; of pages of less than
 * `belowHeat` only (null: of all).
 */
export function dirtyBytesWithin(
  { pagesByHeat, pageSizeBytes, heatWindowMs }: PageSummary,
  ms: number,
  belowHeat: number | null = null,
): number {
  const counts = (heatClass: number): boolean =>
    heatClass > 0 && (belowHeat === null || leastHeatOf(heatClass) < belowHeat);
  const pages = pagesByHeat.reduce(
    (sum, here, heatClass) =>
      counts(heatClass) ? sum + here * chanceWithin(shareOf(heatClass), heatWindowMs, ms) : sum,
    0,
  );
  return pages * pageSizeBytes;
}

/** The share of heat windows that pages of a class are dirty in: heat is 256 times that. Worked example: class 9: 0.53. */
export function shareOf(heatClass: number): number {
  return Math.min(0.99, (leastHeatOf(heatClass) + 8) / 256);
}

/**
 * At most `mostBytes`, from the hottest class down, as long as leaving a page out saves more than it costs. With p the
 * chance that the page is written again before the first pass ends (sent now, it would have to be sent twice), q the chance
 * that the guest wants it before the background push brings it, and `pageCosts`:
 *
 *     p sendMs  >  (1 - p) q stallMs
 *
 * for only a page that would have been clean by the end (1 - p) stalls the guest because it was left out. Worked example,
 * 4 KiB at 117 MB/s (0.035 ms to send, 0.05 for a wait), pass and push of 2.2 s each, windows of 200 ms: a page dirty in 15 %
 * of the windows has p = q = 0.59: 0.021 ms saved, 0.012 ms paid: deferred. In 3 %: p = q = 0.15: 0.0053 against 0.0064: sent.
 */
export function planDeferral(
  pages: PageSummary,
  bandwidthBytesPerSec: number,
  {
    mostBytes = Infinity,
    weights,
  }: { readonly mostBytes?: number; readonly weights?: CostWeights | undefined } = {},
): DeferralPlan {
  const { pagesByHeat, pageSizeBytes, heatWindowMs } = pages;
  const bytesPerMs = bandwidthBytesPerSec / 1000;
  const pageMs = pageSizeBytes / bytesPerMs;
  const costs = pageCosts(pageSizeBytes, bandwidthBytesPerSec, weights);
  const totalPages = pagesByHeat.reduce((sum, each) => sum + each, 0);
  let best: DeferralPlan = { leastHeat: null, deferredBytes: 0, savedBytes: 0, stallMs: 0, coldBytes: 0 };
  let deferredPages = 0;
  for (let heatClass = pagesByHeat.length - 1; heatClass > 0; heatClass--) {
    const here = pagesByHeat[heatClass] ?? 0;
    deferredPages += here;
    if (here === 0) continue;
    if (deferredPages * pageSizeBytes > mostBytes) break;
    // A page is sent half a pass before its end, and pushed half a push after its beginning, on average.
    const leftMs = ((totalPages - deferredPages) * pageMs) / 2;
    const pushMs = (deferredPages * pageMs) / 2;
    const again = chanceWithin(shareOf(heatClass), heatWindowMs, leftMs);
    const wanted = chanceWithin(shareOf(heatClass), heatWindowMs, pushMs);
    const waits = (1 - again) * wanted;
    if (again * costs.sendMs <= waits * costs.stallMs) break;
    best = {
      leastHeat: leastHeatOf(heatClass),
      deferredBytes: deferredPages * pageSizeBytes,
      savedBytes: best.savedBytes + here * again * pageSizeBytes,
      stallMs: best.stallMs + here * waits * FAULT_MS,
      coldBytes: 0,
    };
  }
  return best;
}
