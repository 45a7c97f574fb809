// SPDX-License-Identifier: Apache-2.0
// Weighs the forecast's choices against the operator's objective: which switchover, after how many more rounds.
// Pure arithmetic; the adaptive policy turns the plan into actions.

import type { Forecast, Objective, Prediction } from '../model/index.ts';

/** What the forecast recommends at a round boundary. */
export type Plan =
  | { readonly kind: 'finish'; readonly choice: Prediction; readonly ceilingMs: number }
  | { readonly kind: 'postcopy'; readonly choice: Prediction; readonly bestPrecopyMs: number }
  /** No switchover fits and post-copy may not be used. `surely`: not even at the optimistic end of the error band. */
  | { readonly kind: 'stuck'; readonly lowest: Prediction; readonly surely: boolean };

/** Ending a round, syncing the bitmap and deciding cost this much, however little is dirty. */
const ROUND_COST_MS = 20;

// Pre-copy can be broken off at any moment and loses nothing if a host dies; post-copy cannot. So pre-copy is preferred
// while it costs at most this much more.
const PRECOPY_PREFERENCE = 1.1;

/**
 * Cost of a pre-copy switchover: total time plus downtime. Of two plans the one with more rounds wins when the time
 * that its extra round takes is less than the downtime it saves.
 */
function precopyCostMs(choice: Prediction): number {
  return choice.tmtMs.expected + choice.downtimeMs.expected + choice.rounds * ROUND_COST_MS;
}

/**
 * Cost of a post-copy switchover: total time plus the time during which the guest stands still or runs with pages
 * missing. With B the bandwidth and W the dirty set, one more round costs W'/B of total time and saves (W - W')/B of
 * missing pages: it pays when the round more than halves the set.
 */
function postcopyCostMs(choice: Prediction, bandwidthBytesPerSec: number): number {
  return (
    choice.tmtMs.expected +
    choice.downtimeMs.expected +
    (choice.dirtyAtSwitchBytes / bandwidthBytesPerSec) * 1000 +
    choice.rounds * ROUND_COST_MS
  );
}

function cheapest(choices: readonly Prediction[], cost: (choice: Prediction) => number): Prediction | null {
  let best: Prediction | null = null;
  for (const choice of choices) if (best === null || cost(choice) < cost(best)) best = choice;
  return best;
}

/** The best choice within the objective, or null while the forecast is not ready. */
export function choosePlan(forecast: Forecast, objective: Objective, postcopyReady: boolean): Plan | null {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (!forecast.ready || bandwidth === null) return null;
  const inTime = (choice: Prediction): boolean =>
    objective.deadlineMs === null || choice.tmtMs.expected <= objective.deadlineMs;
  const fitting = forecast.precopy.filter((choice) => choice.downtimeMs.high <= objective.maxDowntimeMs);
  const finish = cheapest(fitting.filter(inTime), precopyCostMs);

  if (postcopyReady && objective.postcopy !== 'forbidden') {
    const postcopy =
      cheapest(forecast.postcopy.filter(inTime), (choice) => postcopyCostMs(choice, bandwidth)) ??
      forecast.postcopy[0];
    if (postcopy === undefined) return null;
    const postcopyMs = postcopyCostMs(postcopy, bandwidth);
    if (finish !== null && precopyCostMs(finish) <= postcopyMs * PRECOPY_PREFERENCE) {
      return { kind: 'finish', choice: finish, ceilingMs: objective.maxDowntimeMs };
    }
    const lowestMs = Math.min(...forecast.precopy.map((choice) => choice.downtimeMs.expected));
    return { kind: 'postcopy', choice: postcopy, bestPrecopyMs: lowestMs };
  }

  const lateButFitting = finish ?? cheapest(fitting, precopyCostMs);
  if (lateButFitting !== null) {
    return { kind: 'finish', choice: lateButFitting, ceilingMs: objective.maxDowntimeMs };
  }
  const lowest = cheapest(forecast.precopy, (choice) => choice.downtimeMs.expected);
  if (lowest === null) return null;
  return { kind: 'stuck', lowest, surely: lowest.downtimeMs.low > objective.maxDowntimeMs };
}
