// SPDX-License-Identifier: Apache-2.0
// What the adaptive policy knows between two inputs, and the steps that its parts have in common: releasing QEMU's
// switchover, holding it again, going post-copy.

import type { Action, Forecast, Observation, PolicyContext, PolicyStep, Reason } from '../model/index.ts';
import type { PagingState } from './paging-state.ts';
import type { Plan } from './plan.ts';
import { beginPostcopy, type EntryState, type PostcopyEntryOptions } from './postcopy-entry.ts';
import { holdReason, postcopyReason, releaseReason } from './reasons.ts';

/** Long enough for QEMU never to complete by itself, never 0: with 0 QEMU completes unchecked and blacks out. */
export const HOLD_DOWNTIME_LIMIT_MS = 1;

// What QEMU's transfer may take longer than it thinks, so that the ceiling holds. Measured, idle machine: of 67 switchovers
// released for at most 300 ms with 5 % to spare the longest took 280 ms, so 2 % are enough; with nothing to spare one took 304.
export const DOWNTIME_MARGIN = 0.02;

/** A release is widened when the forecast asks for at least this much more: less is noise. */
const RAISE_RATIO = 1.1;

export type Phase =
  | { readonly kind: 'holding'; readonly stuckRounds: number }
  | { readonly kind: 'released'; readonly ceilingMs: number }
  /** Post-copy at that moment of the first pass; what it was decided on. */
  | {
      readonly kind: 'scheduled';
      readonly atMs: number;
      readonly observation: Observation;
      readonly forecast: Forecast;
    }
  /** On a patched QEMU. */
  | { readonly kind: 'paging'; readonly paging: PagingState }
  | { readonly kind: 'postcopy'; readonly entry: EntryState }
  | { readonly kind: 'ended' };

export interface AdaptiveState {
  readonly context: PolicyContext;
  readonly options: PostcopyEntryOptions;
  readonly phase: Phase;
  /** The round that was decided on last: one decision per round. */
  readonly decidedRound: number;
  /** What the round before the last boundary had left to send; null: no boundary yet. */
  readonly leftBytes: number | null;
  /** What the next round was said to leave dirty at most, when it was decided to go on; null: no promise is open. */
  readonly promisedBytes: number | null;
  readonly brokenPromises: number;
  /** Rounds since the switchover was released although no whole round fits. */
  readonly hopefulRounds: number;
}

/** What a ceiling of downtime leaves for the transfer. */
export function transferMsWithin(ceilingMs: number, overheadMs: number): number {
  return Math.max(HOLD_DOWNTIME_LIMIT_MS, Math.floor(ceilingMs / (1 + DOWNTIME_MARGIN) - overheadMs));
}

export function result(
  state: AdaptiveState,
  phase: Phase,
  actions: readonly Action[] = [],
  wakeAtMs: number | null = null,
): PolicyStep<AdaptiveState> {
  return { state: { ...state, phase }, actions, wakeAtMs };
}

/** A release once given is not narrowed: QEMU is just about to use it, and what is left shrinks by itself. */
export function releaseOrKeep(
  state: AdaptiveState,
  forecast: Forecast,
  observation: Observation,
  plan: Extract<Plan, { kind: 'finish' }>,
): PolicyStep<AdaptiveState> {
  const { phase } = state;
  if (phase.kind === 'released' && plan.ceilingMs <= phase.ceilingMs * RAISE_RATIO)
    return result(state, phase);
  return release(
    state,
    forecast,
    plan.ceilingMs,
    releaseReason(forecast, observation, plan.choice, plan.ceilingMs),
  );
}

/** Lifts the hold: QEMU completes as soon as what is left fits into what the ceiling leaves for the transfer. */
export function release(
  state: AdaptiveState,
  forecast: Forecast,
  ceilingMs: number,
  reason: Reason,
): PolicyStep<AdaptiveState> {
  const { parameters } = state.context;
  const bandwidth = forecast.bandwidthBytesPerSec;
  const action: Action = {
    kind: 'set-parameters',
    change: {
      downtimeLimitMs: transferMsWithin(ceilingMs, forecast.downtimeOverheadMs),
      // QEMU would judge by the last 100 ms; we know the rate over a longer window.
      ...(parameters.availSwitchoverBandwidthBytesPerSec !== null && bandwidth !== null
        ? { availSwitchoverBandwidthBytesPerSec: Math.round(bandwidth) }
        : {}),
    },
    reason,
  };
  return result(state, { kind: 'released', ceilingMs }, [action]);
}

/** Takes a release back that QEMU could not use: the guest dirtied more than was forecast. */
export function reHold(state: AdaptiveState): Action[] {
  if (state.phase.kind !== 'released') return [];
  return [
    { kind: 'set-parameters', change: { downtimeLimitMs: HOLD_DOWNTIME_LIMIT_MS }, reason: holdReason() },
  ];
}

export function switchOver(
  state: AdaptiveState,
  nowMs: number,
  observation: Observation,
  forecast: Forecast,
  { choice, bestPrecopyMs }: Extract<Plan, { kind: 'postcopy' }>,
): PolicyStep<AdaptiveState> {
  const { maxDowntimeMs } = state.context.objective;
  const reason = postcopyReason(forecast, observation, choice, bestPrecopyMs, maxDowntimeMs);
  return enterPostcopy(state, beginPostcopy(state.options, state.context, nowMs, forecast, choice, reason));
}

export function enterPostcopy(
  state: AdaptiveState,
  step: { entry: EntryState; actions: readonly Action[]; wakeAtMs: number | null },
): PolicyStep<AdaptiveState> {
  return result(state, { kind: 'postcopy', entry: step.entry }, step.actions, step.wakeAtMs);
}
