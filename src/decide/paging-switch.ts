// SPDX-License-Identifier: Apache-2.0
// How a pass over the cold pages ends in post-copy on a patched QEMU: with what is left, when, and with which pages first.

import { formatBytes, formatMs } from '../common/index.ts';
import type { Action, Forecast, Objective, Observation, PageSummary, PolicyStep } from '../model/index.ts';
import { type AdaptiveState, DOWNTIME_MARGIN, enterPostcopy } from './adaptive-state.ts';
import { type Carried, mostCarried } from './carried.ts';
import type { Departure, LeftToSend } from './paging-state.ts';
import { dirtyBytesWithin } from './page-plan.ts';
import { makeRoom } from './postcopy-entry.ts';

/** How often pages are looked at within a round. */
export const LOOK_MS = 200;

/** Another round over what was dirtied in the pass pays while it takes longer than this. */
export const RESIDUAL_MS = 20;

// From the wish to STOP: a page list written, two commands of QEMU; a link whose pass is over stands idle meanwhile. Seen in
// fourteen runs: 10 to 26 ms. Too early costs nothing: cold pages that are left then follow in the push.
const SWITCH_MS = 30;

/**
 * Of what the link was seen to carry at its best, what the push gets: the best lies half a per cent above what it carries on the whole,
 * and a push that is not paced has requested pages wait (bench/README.md).
 */
const PACE_RATIO = 0.99;

// A few bytes a page.
const LEAST_WIRE_RATIO = 0.01;

export function leftToSend(
  { deferredPages, pendingPages, pageSizeBytes }: PageSummary,
  bandwidthBytesPerSec: number,
  forecast: Forecast,
): LeftToSend {
  const deferredBytes = (deferredPages ?? 0) * pageSizeBytes;
  return {
    deferredBytes,
    residualBytes: (pendingPages ?? 0) * pageSizeBytes - deferredBytes,
    bandwidthBytesPerSec,
    overheadMs: forecast.downtimeOverheadMs,
  };
}

function transferMs(bytes: number, { bandwidthBytesPerSec }: LeftToSend): number {
  return (bytes / bandwidthBytesPerSec) * 1000;
}

export function residualMs(left: LeftToSend): number {
  return transferMs(left.residualBytes, left);
}

/** The downtime if all of it were sent by pre-copy. */
export function precopyDowntimeMs(left: LeftToSend): number {
  return transferMs(left.deferredBytes + left.residualBytes, left) + left.overheadMs;
}

export function fitsDowntime(left: LeftToSend, { maxDowntimeMs }: Objective): boolean {
  return precopyDowntimeMs(left) * (1 + DOWNTIME_MARGIN) <= maxDowntimeMs;
}

export function mayGoPostcopy({ context }: Pick<AdaptiveState, 'context'>): boolean {
  return context.postcopyReady && context.objective.postcopy !== 'forbidden';
}

/** What is left in words. */
export function leftText({ deferredBytes, residualBytes }: LeftToSend): string {
  return `${formatBytes(deferredBytes)} that were left out and ${formatBytes(residualBytes)} of other pages are to be sent`;
}

/** What is left as the numbers of a reason. */
export function leftNumbers(left: LeftToSend) {
  const { deferredBytes, residualBytes, bandwidthBytesPerSec } = left;
  return { deferredBytes, residualBytes, bandwidthBytesPerSec, forecastDowntimeMs: precopyDowntimeMs(left) };
}

/** The share of the memory gone through so far that crossed the link: pages that are all zero do so as a few bytes. */
function wireRatio({ transferredBytes, zeroBytes }: Observation): number {
  const gone = (transferredBytes ?? 0) + (zeroBytes ?? 0);
  return gone === 0 ? 1 : Math.max(LEAST_WIRE_RATIO, (transferredBytes ?? 0) / gone);
}

/**
 * Within a pass: when to begin the switch so that the link carries cold pages until the guest stands still. Null where the
 * next look comes early enough, where pre-copy may yet finish, or where so much is dirtied meanwhile that another round pays.
 * Of what is left the same share is taken to be zero as of what has gone.
 *
 * Worked example: 10 MiB of cold pages left at 117 MB/s take 89 ms: in 59 ms, with 3.4 MiB of them left.
 */
export function planDeparture(
  state: AdaptiveState,
  nowMs: number,
  left: LeftToSend,
  observation: Observation & { readonly pages: PageSummary },
  leastHeat: number | null,
): Departure | null {
  if (!mayGoPostcopy(state) || fitsDowntime({ ...left, residualBytes: 0 }, state.context.objective))
    return null;
  const ratio = wireRatio(observation);
  const waitMs = Math.max(0, residualMs(left) * ratio - SWITCH_MS);
  // The next look takes a few ms itself: so close to its end the pass would be over before it is acted on.
  if (waitMs > LOOK_MS + SWITCH_MS) return null;
  if (transferMs(dirtyBytesWithin(observation.pages, LOOK_MS, leastHeat), left) > RESIDUAL_MS) return null;
  const goneBytes = ((waitMs / 1000) * left.bandwidthBytesPerSec) / ratio;
  const residualBytes = Math.max(0, left.residualBytes - goneBytes);
  return { atMs: nowMs + waitMs, left: { ...left, residualBytes } };
}

/** Goes post-copy, with room for page requests and the pages first that the guest touches first. */
export function depart(
  state: AdaptiveState,
  nowMs: number,
  left: LeftToSend,
  carried: Carried | null,
): PolicyStep<AdaptiveState> {
  const { options, context } = state;
  const bandwidth = left.bandwidthBytesPerSec;
  const most = mostCarried(carried);
  const pushMs = transferMs(left.deferredBytes + left.residualBytes, left);
  const pace = most === null ? bandwidth : most * PACE_RATIO;
  const room = makeRoom(options, context, pace, { pushMs, tmtMs: nowMs + pushMs });
  const packMs = options.hotFirst ? options.packMs : 0;
  const { maxDowntimeMs } = context.objective;
  const text =
    `post-copy: ${leftText(left)}, ${formatMs(precopyDowntimeMs(left))} of downtime by pre-copy ` +
    `(limit ${formatMs(maxDowntimeMs)}). From here on a host that dies loses the guest`;
  const numbers = {
    ...leftNumbers(left),
    forecastDowntimeMs: left.overheadMs + packMs,
    forecastTmtMs: nowMs + pushMs,
  };
  return enterPostcopy(state, {
    entry: { kind: 'switching', quietMs: room.quietMs, pacedMs: room.pacedMs },
    actions: [
      ...room.actions,
      ...(options.hotFirst ? [packAction(Math.round((bandwidth / 1000) * packMs))] : []),
      { kind: 'start-postcopy', reason: { text, numbers } },
    ],
    wakeAtMs: null,
  });
}

function packAction(budgetBytes: number): Action {
  const text = `up to ${formatBytes(budgetBytes)} of what the guest touches first go ahead of it`;
  return { kind: 'pack', budgetBytes, reason: { text, numbers: { budgetBytes } } };
}
