// SPDX-License-Identifier: Apache-2.0
// Slackwater's own policy: holds QEMU's switchover, lets pre-copy run while a round still pays, releases it when a
// switchover within the maximum downtime is possible, and otherwise goes post-copy at the round boundary after which
// nothing is gained by waiting. A fold: the whole state is the value that step returns.

import type {
  Action,
  Forecast,
  Observation,
  Policy,
  PolicyContext,
  PolicyInput,
  PolicyStep,
} from '../model/index.ts';
import { choosePlan, type Plan } from './plan.ts';
import {
  beginPostcopy,
  defaultPostcopyEntry,
  type EntryState,
  type PostcopyEntryOptions,
  stepPostcopy,
} from './postcopy-entry.ts';
import {
  deadlineReason,
  holdReason,
  moreRoundsReason,
  postcopyReason,
  releaseReason,
  stuckReason,
} from './reasons.ts';

/** Long enough for QEMU never to complete by itself, never 0: with 0 QEMU completes unchecked and blacks out. */
export const HOLD_DOWNTIME_LIMIT_MS = 1;

/** Rounds in a row that were to shrink the dirty set, and did not, after which the forecast of more rounds is not believed. */
const BROKEN_PROMISES = 2;

/** Round boundaries in a row that must say "no switchover fits" before pre-copy is called hopeless. */
const STUCK_ROUNDS = 2;

type Phase =
  | { readonly kind: 'holding'; readonly stuckRounds: number }
  | { readonly kind: 'released'; readonly ceilingMs: number }
  | { readonly kind: 'postcopy'; readonly entry: EntryState }
  | { readonly kind: 'ended' };

export interface AdaptiveState {
  readonly context: PolicyContext;
  readonly options: PostcopyEntryOptions;
  readonly phase: Phase;
  /** The round that was decided on last: one decision per round. */
  readonly decidedRound: number;
  /** What the next round was said to leave dirty at most, when it was decided to go on; null: no promise is open. */
  readonly promisedBytes: number | null;
  readonly brokenPromises: number;
}

function result(
  state: AdaptiveState,
  phase: Phase,
  actions: readonly Action[] = [],
  wakeAtMs: number | null = null,
): PolicyStep<AdaptiveState> {
  return { state: { ...state, phase }, actions, wakeAtMs };
}

/** Lifts the hold: QEMU completes as soon as what is left fits into what the ceiling leaves for the transfer. */
function release(
  state: AdaptiveState,
  forecast: Forecast,
  observation: Observation,
  plan: Extract<Plan, { kind: 'finish' }>,
): PolicyStep<AdaptiveState> {
  const { parameters } = state.context;
  const transferMs = Math.max(
    HOLD_DOWNTIME_LIMIT_MS,
    Math.floor(plan.ceilingMs - forecast.downtimeOverheadMs),
  );
  const bandwidth = forecast.bandwidthBytesPerSec;
  const action: Action = {
    kind: 'set-parameters',
    change: {
      downtimeLimitMs: transferMs,
      // QEMU would judge by the last 100 ms; we know the rate over a longer window.
      ...(parameters.availSwitchoverBandwidthBytesPerSec !== null && bandwidth !== null
        ? { availSwitchoverBandwidthBytesPerSec: Math.round(bandwidth) }
        : {}),
    },
    reason: releaseReason(forecast, observation, plan.choice, plan.ceilingMs),
  };
  return result(state, { kind: 'released', ceilingMs: plan.ceilingMs }, [action]);
}

function stuck(
  state: AdaptiveState,
  nowMs: number,
  forecast: Forecast,
  observation: Observation,
  plan: Extract<Plan, { kind: 'stuck' }>,
): PolicyStep<AdaptiveState> {
  const { objective } = state.context;
  const before = state.phase.kind === 'holding' ? state.phase.stuckRounds : 0;
  const stuckRounds = plan.surely ? before + 1 : before;
  const now = forecast.precopy[0];
  const hopeless = stuckRounds >= STUCK_ROUNDS;
  if (hopeless && objective.allowDowntimeMs !== null && now !== undefined) {
    if (now.downtimeMs.high <= objective.allowDowntimeMs) {
      return release(state, forecast, observation, {
        kind: 'finish',
        choice: now,
        ceilingMs: objective.allowDowntimeMs,
      });
    }
  }
  // Within the error band of the limit: offer QEMU exactly the limit. It completes only if what is left fits.
  if (!plan.surely && now !== undefined && now.downtimeMs.expected <= objective.maxDowntimeMs) {
    return release(state, forecast, observation, {
      kind: 'finish',
      choice: now,
      ceilingMs: objective.maxDowntimeMs,
    });
  }
  // A deadline is leave to go on until then: the guest may calm down.
  if (hopeless && (objective.deadlineMs === null || nowMs >= objective.deadlineMs)) {
    const reason = stuckReason(forecast, observation, plan.lowest, objective.maxDowntimeMs);
    return result(state, { kind: 'ended' }, [{ kind: 'cancel', reason }]);
  }
  return result(
    state,
    { kind: 'holding', stuckRounds },
    [
      ...reHold(state),
      {
        kind: 'continue',
        reason: stuckReason(forecast, observation, plan.lowest, objective.maxDowntimeMs),
      },
    ],
    objective.deadlineMs,
  );
}

/** Takes a release back that QEMU could not use: the guest dirtied more than was forecast. */
function reHold(state: AdaptiveState): Action[] {
  if (state.phase.kind !== 'released') return [];
  return [
    { kind: 'set-parameters', change: { downtimeLimitMs: HOLD_DOWNTIME_LIMIT_MS }, reason: holdReason() },
  ];
}

function decideRound(
  state: AdaptiveState,
  nowMs: number,
  observation: Observation,
  forecast: Forecast,
): PolicyStep<AdaptiveState> {
  const { objective, postcopyReady } = state.context;
  // Whatever the forecast: when it has been wrong about more rounds again and again, only what can be had now counts.
  const believed =
    state.brokenPromises < BROKEN_PROMISES
      ? forecast
      : { ...forecast, precopy: forecast.precopy.slice(0, 1), postcopy: forecast.postcopy.slice(0, 1) };
  const plan = choosePlan(believed, objective, postcopyReady);
  const holding: Phase = {
    kind: 'holding',
    stuckRounds: state.phase.kind === 'holding' ? state.phase.stuckRounds : 0,
  };
  if (plan === null) return result(state, holding, [], objective.deadlineMs);
  if (plan.kind === 'stuck') return stuck(state, nowMs, forecast, observation, plan);
  if (plan.choice.rounds > 0) {
    const next = forecast.precopy[1];
    const promisedBytes =
      next === undefined ? null : next.dirtyAtSwitchBytes * (1 + Math.max(forecast.errorRatio, 0.1));
    return result(
      { ...state, promisedBytes },
      { kind: 'holding', stuckRounds: 0 },
      [...reHold(state), { kind: 'continue', reason: moreRoundsReason(forecast, observation, plan.choice) }],
      objective.deadlineMs,
    );
  }
  if (plan.kind === 'finish') return release(state, forecast, observation, plan);
  const reason = postcopyReason(
    forecast,
    observation,
    plan.choice,
    plan.bestPrecopyMs,
    objective.maxDowntimeMs,
  );
  return enterPostcopy(
    state,
    beginPostcopy(state.options, state.context, nowMs, forecast, plan.choice.dirtyAtSwitchBytes, reason),
  );
}

function enterPostcopy(
  state: AdaptiveState,
  step: { entry: EntryState; actions: readonly Action[]; wakeAtMs: number | null },
): PolicyStep<AdaptiveState> {
  return result(state, { kind: 'postcopy', entry: step.entry }, step.actions, step.wakeAtMs);
}

function step(state: AdaptiveState, input: PolicyInput): PolicyStep<AdaptiveState> {
  const { phase, context } = state;
  if (phase.kind === 'ended') return result(state, phase);
  if (phase.kind === 'postcopy') {
    return enterPostcopy(state, stepPostcopy(state.options, context, phase.entry, input));
  }
  const { deadlineMs } = context.objective;
  if (input.kind === 'tick') {
    const late = deadlineMs !== null && input.nowMs >= deadlineMs && !context.postcopyReady;
    if (!late) return result(state, phase);
    return result(state, { kind: 'ended' }, [
      { kind: 'cancel', reason: deadlineReason(deadlineMs, input.nowMs) },
    ]);
  }
  const { observation, forecast, nowMs } = input;
  if (observation.status === 'postcopy-active') {
    // Somebody else switched: take the entry over where it stands.
    return enterPostcopy(
      state,
      stepPostcopy(
        state.options,
        context,
        { kind: 'switching', pushMs: restMs(forecast, observation) },
        input,
      ),
    );
  }
  const isNewRound =
    observation.kind === 'round' && observation.round >= 2 && observation.round > state.decidedRound;
  if (observation.status !== 'active' || !isNewRound) return result(state, phase, [], deadlineMs);
  return decideRound(keepPromises(state, observation), nowMs, observation, forecast);
}

/** How long the transfer of what remains takes at the present bandwidth. */
function restMs(forecast: Forecast, observation: Observation): number {
  const bandwidth = forecast.bandwidthBytesPerSec;
  return bandwidth === null ? 0 : ((observation.remainingBytes ?? 0) / bandwidth) * 1000;
}

/** Settles the promise that was open: kept, or broken once more. */
function keepPromises(state: AdaptiveState, observation: Observation): AdaptiveState {
  const { promisedBytes } = state;
  const dirtyBytes = observation.dirtyAtRoundStartBytes;
  const settled = promisedBytes !== null && dirtyBytes !== null;
  const broken = settled && dirtyBytes > promisedBytes;
  return {
    ...state,
    decidedRound: observation.round,
    promisedBytes: null,
    brokenPromises: broken ? state.brokenPromises + 1 : settled ? 0 : state.brokenPromises,
  };
}

/** The adaptive policy; `options` change how post-copy is entered (for experiments). */
export function createAdaptivePolicy(
  name = 'adaptive',
  options: Partial<PostcopyEntryOptions> = {},
): Policy<AdaptiveState> {
  return {
    name,
    init: (context) => ({
      state: {
        context,
        options: { ...defaultPostcopyEntry, ...options },
        phase: { kind: 'holding', stuckRounds: 0 },
        decidedRound: 1,
        promisedBytes: null,
        brokenPromises: 0,
      },
      actions: [
        {
          kind: 'set-parameters',
          change: { downtimeLimitMs: HOLD_DOWNTIME_LIMIT_MS },
          reason: holdReason(),
        },
      ],
      wakeAtMs: context.objective.deadlineMs,
    }),
    step,
  };
}
