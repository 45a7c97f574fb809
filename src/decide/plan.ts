// SPDX-License-Identifier: Apache-2.0
// Weighs the forecast's choices against the operator's objective: which switchover, after how many more rounds.
// Pure arithmetic; the adaptive policy turns the plan into actions.

import { dirtyBytesWithin } from '../forecast/index.ts';
import type {
  CostWeights,
  DirtyCurve,
  Forecast,
  Objective,
  Prediction,
  WeighedOption,
} from '../model/index.ts';

/** What the forecast recommends. */
export type Plan =
  /** Let QEMU complete as soon as the downtime would be no more than the ceiling: at once, or within this round. */
  | { readonly kind: 'finish'; readonly choice: Prediction; readonly ceilingMs: number }
  /** More whole rounds pay before post-copy. */
  | { readonly kind: 'go-on'; readonly choice: Prediction }
  | { readonly kind: 'postcopy'; readonly choice: Prediction; readonly bestPrecopyMs: number }
  /** No switchover fits and post-copy may not be used. `surely`: not even at the optimistic end of the error band. */
  | { readonly kind: 'stuck'; readonly lowest: Prediction; readonly surely: boolean };

/**
 * Total time counts fully; a ms of downtime, and a ms in which the guest is slowed down or lacks its pages, as much as one of
 * total time; bytes by the time that they take.
 */
export const DEFAULT_WEIGHTS: CostWeights = { tmt: 1, downtime: 1, slowdown: 1, bytes: 0 };

/** How many of each way a decision reports. */
const REPORTED_OPTIONS = 3;

/** Ending a round, syncing the bitmap and deciding cost this much, however little is dirty. */
const ROUND_COST_MS = 20;

// Pre-copy can be broken off at any moment and loses nothing if a host dies; post-copy cannot. So pre-copy is preferred
// while it costs at most this much more.
const PRECOPY_PREFERENCE = 1.1;

/** What a shorter downtime may cost of the total time, once it is within the limit. Chosen: half of the 3 % that ours may cost at all. */
const SHORTER_DOWNTIME_TMT_RATIO = 0.015;

// A guest dirties in spurts (it catches up after the stop that each sync of the bitmap means for it), and at this scale a
// curve of some samples does not show them. Measured, idle machine: 20 MiB/s steady, 44 MB/s within one round of 260 ms.
const SPURT_FACTOR = 2;

/** Below this much of transfer QEMU would spin through empty rounds, each of which stops the guest for its sync. */
const LEAST_TRANSFER_MS = 50;

/**
 * Cost of a pre-copy switchover: total time plus downtime, as the weights have them. Of two plans the one with more rounds
 * wins when the time that its extra round takes is less than the downtime it saves.
 */
function precopyCostMs(choice: Prediction, { tmt, downtime, bytes }: CostWeights): number {
  const tmtMs = choice.tmtMs.expected + choice.rounds * ROUND_COST_MS;
  return tmt * tmtMs + downtime * choice.downtimeMs.expected + (bytes * choice.bytes.expected) / 1e6;
}

/**
 * Cost of a post-copy switchover: total time plus the time during which the guest stands still or runs with pages
 * missing. With B the bandwidth and W the dirty set, one more round costs W'/B of total time and saves (W - W')/B of
 * missing pages: it pays when the round more than halves the set.
 */
function postcopyCostMs(choice: Prediction, weights: CostWeights, bandwidthBytesPerSec: number): number {
  const missingMs = (choice.dirtyAtSwitchBytes / bandwidthBytesPerSec) * 1000;
  return precopyCostMs(choice, weights) + weights.slowdown * missingMs;
}

/** What was weighed, for the record: of each way the cheapest. */
export function weighedOptions(
  forecast: Forecast,
  { weights = DEFAULT_WEIGHTS, maxDowntimeMs, deadlineMs, postcopy }: Objective,
  postcopyReady: boolean,
): WeighedOption[] {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (!forecast.ready || bandwidth === null) return [];
  const options = (
    way: WeighedOption['way'],
    choices: readonly Prediction[],
    cost: (choice: Prediction) => number,
  ): WeighedOption[] =>
    choices
      .map((choice) => ({
        way,
        rounds: choice.rounds,
        tmtMs: choice.tmtMs.expected,
        downtimeMs: choice.downtimeMs.expected,
        bytes: choice.bytes.expected,
        costMs: cost(choice),
        fits:
          (way === 'postcopy' || choice.downtimeMs.high <= maxDowntimeMs) &&
          (deadlineMs === null || choice.tmtMs.expected <= deadlineMs),
      }))
      .sort((a, b) => Number(b.fits) - Number(a.fits) || a.costMs - b.costMs)
      .slice(0, REPORTED_OPTIONS);
  const mayPostcopy = postcopyReady && postcopy !== 'forbidden';
  return [
    ...options('precopy', forecast.precopy, (choice) => precopyCostMs(choice, weights)),
    ...(mayPostcopy
      ? options('postcopy', forecast.postcopy, (choice) => postcopyCostMs(choice, weights, bandwidth))
      : []),
  ];
}

function cheapest(choices: readonly Prediction[], cost: (choice: Prediction) => number): Prediction | null {
  let best: Prediction | null = null;
  for (const choice of choices) if (best === null || cost(choice) < cost(best)) best = choice;
  return best;
}

/** The point between two choices where the time from `from` to `to` is used up to `share`. */
function between(from: Prediction, to: Prediction, share: number): Prediction {
  const lerp = (a: number, b: number): number => a + (b - a) * share;
  const estimate = (a: Prediction['tmtMs'], b: Prediction['tmtMs']): Prediction['tmtMs'] => ({
    expected: lerp(a.expected, b.expected),
    low: lerp(a.low, b.low),
    high: lerp(a.high, b.high),
  });
  return {
    rounds: from.rounds,
    tmtMs: estimate(from.tmtMs, to.tmtMs),
    downtimeMs: estimate(from.downtimeMs, to.downtimeMs),
    bytes: estimate(from.bytes, to.bytes),
    dirtyAtSwitchBytes: lerp(from.dirtyAtSwitchBytes, to.dirtyAtSwitchBytes),
  };
}

/**
 * How much shorter the downtime becomes if pre-copy goes on for as long as may be paid for, at most for `leftMs`. In t ms the link
 * carries t B, while the guest, in spurts, dirties U(2t): total time grows by U(2t)/B, the downtime shrinks by t - U(2t)/B.
 */
function shorterByMs(
  curve: DirtyCurve,
  bandwidthBytesPerSec: number,
  affordableMs: number,
  leftMs: number,
): number {
  const costMs = (goOnMs: number): number =>
    (dirtyBytesWithin(curve, SPURT_FACTOR * goOnMs) / bandwidthBytesPerSec) * 1000;
  let [goOnMs, tooLongMs] = [0, leftMs];
  // To the end of the round; what that leaves its prediction says better.
  if (costMs(leftMs) <= affordableMs) return leftMs;
  while (tooLongMs - goOnMs > 1) {
    const middleMs = (goOnMs + tooLongMs) / 2;
    if (costMs(middleMs) <= affordableMs) goOnMs = middleMs;
    else tooLongMs = middleMs;
  }
  return Math.max(0, goOnMs - costMs(goOnMs));
}

/**
 * The present round as a path from switching now to switching at its end, left where the downtime is as short as may be
 * paid for. Null when the limit is not met on it.
 *
 * Worked examples: 36 MB dirty of a guest that writes 21 MB/s at 117 MB/s, 1.7 s into the migration: now 337 ms of downtime,
 * 119 ms at the round's end, limit 300 ms, total time about 2.04 s, of which 1.5 % are 31 ms. In spurts of 42 MB/s those are used up
 * after 85 ms, which shorten the downtime by 85 - 31 = 54 ms: the ceiling is 246 ms. A guest that writes as much, but the same 2 MB
 * again and again, costs 18 ms at most: the ceiling is what the round's end leaves.
 */
function withinRound(
  forecast: Forecast,
  now: Prediction,
  end: Prediction,
  maxDowntimeMs: number,
  { tmt, downtime }: CostWeights,
): Prediction | null {
  const { curve, bandwidthBytesPerSec } = forecast;
  const fall = now.downtimeMs.high - end.downtimeMs.high;
  if (end.downtimeMs.high > maxDowntimeMs || fall <= 0) return null;
  if (curve === null || bandwidthBytesPerSec === null) return null;
  const fitMs = Math.min(maxDowntimeMs, now.downtimeMs.high);
  // To whom downtime weighs more than total time, less of it may cost more.
  const preference = tmt > 0 ? downtime / tmt : Infinity;
  const affordableMs = end.tmtMs.expected * SHORTER_DOWNTIME_TMT_RATIO * preference;
  const leftMs = Math.max(0, fitMs - forecast.downtimeOverheadMs);
  const shortestMs = fitMs - shorterByMs(curve, bandwidthBytesPerSec, affordableMs, leftMs);
  if (shortestMs <= end.downtimeMs.high) return end;
  return between(now, end, (now.downtimeMs.high - shortestMs) / fall);
}

/**
 * Turns the cheapest fitting switchover into a ceiling. Where it is further than this round, the limit itself: should the
 * guest calm down before, QEMU completes by itself.
 */
function finish(forecast: Forecast, best: Prediction, maxDowntimeMs: number, weights: CostWeights): Plan {
  const [now, end] = forecast.precopy;
  const target =
    best.rounds === 0 || now === undefined || end === undefined
      ? null
      : withinRound(forecast, now, end, maxDowntimeMs, weights);
  if (target === null) return { kind: 'finish', choice: best, ceilingMs: maxDowntimeMs };
  const leastMs = forecast.downtimeOverheadMs + LEAST_TRANSFER_MS;
  const ceilingMs = Math.min(maxDowntimeMs, Math.max(leastMs, target.downtimeMs.high));
  return { kind: 'finish', choice: target, ceilingMs };
}

/** Whether the dirtying curve is known for as long as the transfer of a switchover at the limit takes. */
export function reachesTheLimit(forecast: Forecast, { maxDowntimeMs }: Objective): boolean {
  return forecast.ready && forecast.longestWindowMs >= maxDowntimeMs - forecast.downtimeOverheadMs;
}

/** Whether no round of pre-copy comes within the limit, even at the optimistic end of the error band. */
export function precopyIsHopeless(forecast: Forecast, { maxDowntimeMs }: Objective): boolean {
  return forecast.precopy.every(({ downtimeMs }) => downtimeMs.low > maxDowntimeMs);
}

/** The best choice within the objective, or null while the forecast is not ready. */
export function choosePlan(forecast: Forecast, objective: Objective, postcopyReady: boolean): Plan | null {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (!forecast.ready || bandwidth === null) return null;
  const inTime = (choice: Prediction): boolean =>
    objective.deadlineMs === null || choice.tmtMs.expected <= objective.deadlineMs;
  const fitting = forecast.precopy.filter((choice) => choice.downtimeMs.high <= objective.maxDowntimeMs);
  const { weights = DEFAULT_WEIGHTS } = objective;
  const ofPrecopy = (choice: Prediction): number => precopyCostMs(choice, weights);
  const ofPostcopy = (choice: Prediction): number => postcopyCostMs(choice, weights, bandwidth);
  const fit = cheapest(fitting.filter(inTime), ofPrecopy);

  if (postcopyReady && objective.postcopy !== 'forbidden') {
    const postcopy = cheapest(forecast.postcopy.filter(inTime), ofPostcopy) ?? forecast.postcopy[0];
    if (postcopy === undefined) return null;
    if (fit !== null && ofPrecopy(fit) <= ofPostcopy(postcopy) * PRECOPY_PREFERENCE) {
      return finish(forecast, fit, objective.maxDowntimeMs, weights);
    }
    if (postcopy.rounds > 0) return { kind: 'go-on', choice: postcopy };
    const lowestMs = Math.min(...forecast.precopy.map((choice) => choice.downtimeMs.expected));
    return { kind: 'postcopy', choice: postcopy, bestPrecopyMs: lowestMs };
  }

  const lateButFitting = fit ?? cheapest(fitting, ofPrecopy);
  if (lateButFitting !== null) {
    return finish(forecast, lateButFitting, objective.maxDowntimeMs, weights);
  }
  const lowest = cheapest(forecast.precopy, (choice) => choice.downtimeMs.expected);
  if (lowest === null) return null;
  return { kind: 'stuck', lowest, surely: lowest.downtimeMs.low > objective.maxDowntimeMs };
}
