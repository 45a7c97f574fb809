// SPDX-License-Identifier: Apache-2.0
// The adaptive policy on a QEMU that shows its pages and lends its levers: leave the hot pages out, pass over the cold
// memory once, then release the switchover if what is left fits into the maximum downtime, or go post-copy with the pages
// first that the guest touches first. The same fold as everywhere; a stock QEMU has fewer options.

import { formatBytes, formatMs } from '../common/index.ts';
import type {
  Action,
  Forecast,
  Observation,
  PageSummary,
  PolicyContext,
  PolicyStep,
  Reason,
} from '../model/index.ts';
import { type AdaptiveState, HOLD_DOWNTIME_LIMIT_MS, result, transferMsWithin } from './adaptive-state.ts';
import { stepCarried } from './carried.ts';
import { stepFirstWrites } from './first-writes.ts';
import { stepFreshDirt } from './fresh-dirt.ts';
import type { EndsBy, PagingState } from './paging-state.ts';
import {
  depart,
  fitsDowntime,
  leftNumbers,
  leftText,
  leftToSend,
  LOOK_MS,
  mayGoPostcopy,
  planDeparture,
  precopyDowntimeMs,
  RESIDUAL_MS,
  residualMs,
} from './paging-switch.ts';
import type { DeferralPlan } from './page-plan.ts';
import { planEnd } from './page-end.ts';
import { holdReason } from './reasons.ts';
import { assumedBytesPerSec } from './start.ts';

/** How often the deferred set is chosen anew. */
const CHOOSE_MS = 400;

/** A round over what was dirtied in the one before pays while less than this share is left, or dirtied as it is sent. */
const SHRINKS_TO = 0.7;

/** QEMU is told of the bandwidth again when it differs by this share. */
const TOLD_RATIO = 0.05;

/** A pass that takes longer than this many times once over all memory is none. */
const PASS_RATIO = 1.2;

function deferReason(plan: DeferralPlan, endsBy: EndsBy, pages: PageSummary): Reason {
  const { leastHeat, deferredBytes, savedBytes, coldBytes } = plan;
  // Pre-copy's end sends them all while the guest stands still anyhow.
  const stallMs = endsBy === 'postcopy' ? plan.stallMs : 0;
  const text =
    leastHeat === null
      ? 'no hot page is worth leaving out of the first pass'
      : `leaving ${formatBytes(deferredBytes)} of hot pages out of the first pass: ${formatBytes(savedBytes)} of them ` +
        'would have to be sent twice' +
        (endsBy === 'postcopy' ? `; waiting for the others costs the guest ${formatMs(stallMs)}` : '');
  const cold = `leaving ${formatBytes(coldBytes)} of cold memory to post-copy: while it is sent, too much of the rest is written`;
  return {
    text: coldBytes > 0 ? `${text}; ${cold}` : text,
    numbers: {
      deferredBytes,
      savedBytes,
      stallMs,
      coldBytes,
      leastHeat: leastHeat ?? 0,
      watchedMs: pages.watchedMs,
    },
  };
}

function deferAction(plan: DeferralPlan, endsBy: EndsBy, pages: PageSummary) {
  const { leastHeat, coldBytes } = plan;
  return { kind: 'defer', leastHeat, coldBytes, reason: deferReason(plan, endsBy, pages) } as const;
}

/** The first actions, before the migration begins; null where leaving pages out leads nowhere. */
export function beginPaging(
  context: PolicyContext,
  pages: PageSummary,
): { state: PagingState; actions: readonly Action[] } | null {
  const { endsBy, plan } = planEnd(context, pages, assumedBytesPerSec(context), null);
  if (endsBy === 'none') return null;
  const defer = deferAction(plan, endsBy, pages);
  return {
    state: {
      toldBytesPerSec: null,
      held: true,
      sampling: true,
      chosenAtMs: 0,
      endsBy,
      leastHeat: plan.leastHeat,
      departure: null,
      residualBytes: null,
      carried: null,
      freshDirt: null,
      firstWrites: null,
    },
    actions: [
      {
        kind: 'hold',
        hold: true,
        sampleMs: LOOK_MS,
        reason: {
          text: 'holding the switchover: rounds end when all but the deferred pages are sent',
          numbers: {},
        },
      },
      defer,
    ],
  };
}

/** Has QEMU judge the switchover by our bandwidth, in time before it is released. */
function tellBandwidth(state: AdaptiveState, paging: PagingState, forecast: Forecast): Action[] {
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (bandwidth === null) return [];
  const told = paging.toldBytesPerSec;
  if (told !== null && Math.abs(bandwidth - told) <= told * TOLD_RATIO) return [];
  return [
    {
      kind: 'set-parameters',
      change: {
        downtimeLimitMs: transferMsWithin(state.context.objective.maxDowntimeMs, forecast.downtimeOverheadMs),
        availSwitchoverBandwidthBytesPerSec: Math.round(bandwidth),
      },
      reason: { text: 'what QEMU is to judge a switchover by', numbers: { bandwidthBytesPerSec: bandwidth } },
    },
  ];
}

function keep(
  state: AdaptiveState,
  paging: PagingState,
  actions: readonly Action[] = [],
): PolicyStep<AdaptiveState> {
  const wakeAtMs = paging.departure?.atMs ?? state.context.objective.deadlineMs;
  return result(state, { kind: 'paging', paging }, actions, wakeAtMs);
}

/** Steps the policy on a tick: when the moment has come that was decided on, it goes post-copy. Null: it is not time yet. */
export function departInTime(
  state: AdaptiveState,
  { departure, carried }: PagingState,
  nowMs: number,
): PolicyStep<AdaptiveState> | null {
  return departure === null || nowMs < departure.atMs ? null : depart(state, nowMs, departure.left, carried);
}

/** Steps the policy on an observation in pre-copy. */
export function stepPaging(
  state: AdaptiveState,
  known: PagingState,
  nowMs: number,
  observation: Observation,
  forecast: Forecast,
): PolicyStep<AdaptiveState> {
  const before = { ...known, carried: stepCarried(known.carried, observation) };
  const { pages, status } = observation;
  const bandwidth = forecast.bandwidthBytesPerSec;
  if (!observation.showsPages) {
    return asOnStock(state, { text: 'nothing is seen of pages any more: going on without', numbers: {} });
  }
  if (status !== 'active' || bandwidth === null) return keep(state, before);
  if (pages === null) return departInTime(state, before, nowMs) ?? keep(state, before);
  const tell = tellBandwidth(state, before, forecast);
  const seen = {
    ...before,
    freshDirt: stepFreshDirt(before.freshDirt, observation, pages),
    firstWrites: stepFirstWrites(before.firstWrites, observation, pages),
  };
  const paging: PagingState = tell.length > 0 ? { ...seen, toldBytesPerSec: bandwidth } : seen;
  if (pages.endsRound === true) {
    return atRoundEnd(state, paging, nowMs, pages, forecast, bandwidth, tell);
  }
  const passMs = ((observation.totalBytes ?? 0) / bandwidth) * 1000;
  if (paging.sampling && nowMs > passMs * PASS_RATIO) {
    // Each look finds pages to send again: with a guest that writes fast enough such a round would never end.
    const text =
      'the pass takes longer than once over the memory: pages are not looked at within rounds any more';
    const reason = { text, numbers: { passMs } };
    return keep(state, { ...paging, sampling: false }, [
      ...tell,
      { kind: 'hold', hold: true, sampleMs: 0, reason },
    ]);
  }
  const left = leftToSend(pages, bandwidth, forecast);
  const departure = planDeparture(state, nowMs, left, { ...observation, pages }, paging.leastHeat);
  if (departure !== null) {
    return (
      departInTime(state, { ...paging, departure }, nowMs) ?? keep(state, { ...paging, departure }, tell)
    );
  }
  const going: PagingState = { ...paging, departure };
  const { endsBy, plan } = planEnd(state.context, pages, bandwidth, paging.firstWrites);
  // Of a guest that has begun to write every look sends pages in vain.
  const beginsToWrite = endsBy === 'postcopy' && paging.endsBy === 'precopy';
  if (nowMs - paging.chosenAtMs < CHOOSE_MS && !beginsToWrite) return keep(state, going, tell);
  const chosen = { chosenAtMs: nowMs, endsBy, leastHeat: plan.leastHeat };
  return keep(state, { ...going, ...chosen }, [...tell, deferAction(plan, endsBy, pages)]);
}

/** It dirties pages about as fast as the link carries them: a guest that was quiet in the pass and is busy now, for instance. */
function isWritingOn({ freshDirt }: PagingState, bandwidthBytesPerSec: number): boolean {
  return (freshDirt?.bytesPerSec ?? 0) > bandwidthBytesPerSec * SHRINKS_TO;
}

function atRoundEnd(
  state: AdaptiveState,
  paging: PagingState,
  nowMs: number,
  pages: PageSummary,
  forecast: Forecast,
  bandwidth: number,
  tell: readonly Action[],
): PolicyStep<AdaptiveState> {
  const { objective } = state.context;
  const left = leftToSend(pages, bandwidth, forecast);
  const numbers = leftNumbers(left);
  if (fitsDowntime(left, objective)) {
    const text =
      `releasing the switchover: ${leftText(left)}, expected downtime ${formatMs(precopyDowntimeMs(left))} ` +
      `within ${formatMs(objective.maxDowntimeMs)}`;
    const release: Action = { kind: 'hold', hold: false, sampleMs: 0, reason: { text, numbers } };
    return keep(state, { ...paging, departure: null, held: false }, paging.held ? [...tell, release] : tell);
  }
  const shrinks =
    forecast.workingSetConverged !== true &&
    (paging.residualBytes === null || left.residualBytes < paging.residualBytes * SHRINKS_TO);
  const isLast = mayGoPostcopy(state) && isWritingOn(paging, bandwidth);
  if (residualMs(left) > RESIDUAL_MS && shrinks && !isLast) {
    return keep(state, { ...paging, departure: null, residualBytes: left.residualBytes }, tell);
  }
  if (mayGoPostcopy(state)) return depart(state, nowMs, left, paging.carried);
  // Without post-copy all of it has to shrink.
  const text = `${leftText(left)}, which does not fit: the hot pages are sent in rounds, too`;
  return asOnStock(state, { text, numbers });
}

/** Leaves no page out any more, and goes on as on a stock QEMU. */
function asOnStock(state: AdaptiveState, reason: Reason): PolicyStep<AdaptiveState> {
  return result(state, { kind: 'holding', stuckRounds: 0 }, [
    { kind: 'set-parameters', change: { downtimeLimitMs: HOLD_DOWNTIME_LIMIT_MS }, reason: holdReason() },
    { kind: 'defer', leastHeat: null, coldBytes: 0, reason },
    {
      kind: 'hold',
      hold: false,
      sampleMs: 0,
      reason: { text: 'QEMU holds by its downtime limit again', numbers: {} },
    },
  ]);
}
