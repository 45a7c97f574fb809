// SPDX-License-Identifier: Apache-2.0
// Slackwater's own policy: holds QEMU's switchover, lets pre-copy run while a round still pays, releases it when a
// switchover within the maximum downtime is possible, and otherwise goes post-copy: in the first pass where it is sure by
// then that pre-copy is hopeless, else at the round boundary after which nothing is gained by waiting. A fold: the whole
// state is the value that step returns.

import { predictReleased } from '../forecast/index.ts';
import type {
  Action,
  Forecast,
  Observation,
  Policy,
  PolicyInput,
  PolicyStep,
  Prediction,
} from '../model/index.ts';
import {
  type AdaptiveState,
  enterPostcopy,
  HOLD_DOWNTIME_LIMIT_MS,
  type Phase,
  reHold,
  release,
  releaseOrKeep,
  result,
  switchOver,
} from './adaptive-state.ts';
import { asScheduled, duringFirstPass } from './first-pass.ts';
import { choosePlan, type Plan, weighedOptions } from './plan.ts';
import { defaultPostcopyEntry, makeRoom, type PostcopyEntryOptions, stepPostcopy } from './postcopy-entry.ts';
import { beginPaging, departInTime, stepPaging } from './paging.ts';
import {
  deadlineReason,
  holdReason,
  moreRoundsReason,
  releaseReason,
  stuckReason,
  withinReason,
} from './reasons.ts';
import { waitBefore } from './start.ts';

/** Rounds in a row that were to shrink the dirty set, and did not, after which the forecast of more rounds is not believed. */
const BROKEN_PROMISES = 2;

/** So many rounds at most is QEMU waited for to use a release that was forecast to be used. */
const HOPEFUL_ROUNDS = 12;

/** Round boundaries in a row that must say "no switchover fits" before pre-copy is called hopeless. */
const STUCK_ROUNDS = 2;

/** A round that leaves less than this share of what the one before left is a step forward, whatever is forecast; less is noise. */
const SHRUNK_RATIO = 0.9;

/**
 * No whole round fits, but QEMU does not wait for whole rounds: where it is forecast to complete within one, it is let go, first
 * with the maximum downtime, with what the operator allows beyond it only when that is hopeless.
 */
function finishWithinRounds(
  state: AdaptiveState,
  forecast: Forecast,
  observation: Observation,
  lowest: Prediction,
  hopeless: boolean,
): PolicyStep<AdaptiveState> | null {
  const { maxDowntimeMs, allowDowntimeMs } = state.context.objective;
  if (state.hopefulRounds >= HOPEFUL_ROUNDS) return null;
  const ceilings = [maxDowntimeMs, ...(hopeless && allowDowntimeMs !== null ? [allowDowntimeMs] : [])];
  for (const ceilingMs of ceilings) {
    const released = predictReleased(forecast, observation, ceilingMs);
    if (released?.completes !== true) continue;
    const next = { ...state, hopefulRounds: state.hopefulRounds + 1 };
    return release(
      next,
      forecast,
      ceilingMs,
      withinReason(forecast, observation, lowest, released, ceilingMs),
    );
  }
  return null;
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
  // A guest that is calming down is seen by what its rounds leave before the dirtying curve knows of it.
  const left = observation.dirtyAtRoundStartBytes;
  const shrinks = left !== null && state.leftBytes !== null && left < state.leftBytes * SHRUNK_RATIO;
  const stuckRounds = plan.surely && !shrinks ? before + 1 : before;
  const now = forecast.precopy[0];
  const hopeless = stuckRounds >= STUCK_ROUNDS;
  const hopeful = finishWithinRounds(state, forecast, observation, plan.lowest, hopeless);
  if (hopeful !== null) return hopeful;
  if (hopeless && objective.allowDowntimeMs !== null && now !== undefined) {
    if (now.downtimeMs.high <= objective.allowDowntimeMs) {
      const ceilingMs = objective.allowDowntimeMs;
      return release(state, forecast, ceilingMs, releaseReason(forecast, observation, now, ceilingMs));
    }
  }
  // Within the error band of the limit: offer QEMU exactly the limit. It completes only if what is left fits.
  if (!plan.surely && now !== undefined && now.downtimeMs.expected <= objective.maxDowntimeMs) {
    const ceilingMs = objective.maxDowntimeMs;
    return release(state, forecast, ceilingMs, releaseReason(forecast, observation, now, ceilingMs));
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

/** The step with what was weighed beside the reason of each of its actions that were weighed. */
function withOptions(step: PolicyStep<AdaptiveState>, forecast: Forecast): PolicyStep<AdaptiveState> {
  if (step.actions.length === 0) return step;
  const { objective, postcopyReady } = step.state.context;
  const options = weighedOptions(forecast, objective, postcopyReady);
  const weighed = (action: Action): Action =>
    'forecastTmtMs' in action.reason.numbers ? { ...action, reason: { ...action.reason, options } } : action;
  return { ...step, actions: step.actions.map(weighed) };
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
  const next = forecast.precopy[1];
  const promisedBytes =
    next === undefined ? null : next.dirtyAtSwitchBytes * (1 + Math.max(forecast.errorRatio, 0.1));
  if (plan.kind === 'go-on') {
    return result(
      { ...state, promisedBytes },
      { kind: 'holding', stuckRounds: 0 },
      [...reHold(state), { kind: 'continue', reason: moreRoundsReason(forecast, observation, plan.choice) }],
      objective.deadlineMs,
    );
  }
  if (plan.kind === 'finish') {
    return releaseOrKeep({ ...state, promisedBytes }, forecast, observation, plan);
  }
  return switchOver(state, nowMs, observation, forecast, plan);
}

function step(state: AdaptiveState, input: PolicyInput): PolicyStep<AdaptiveState> {
  const { phase, context } = state;
  if (phase.kind === 'ended') return result(state, phase);
  if (phase.kind === 'postcopy') {
    return enterPostcopy(state, stepPostcopy(state.options, context, phase.entry, input));
  }
  const { deadlineMs } = context.objective;
  if (input.kind === 'tick') {
    if (phase.kind === 'scheduled') {
      if (input.nowMs < phase.atMs) return result(state, phase, [], phase.atMs);
      return asScheduled(state, phase, input.nowMs);
    }
    if (phase.kind === 'paging') {
      const departed = departInTime(state, phase.paging, input.nowMs);
      if (departed !== null) return departed;
      const { departure } = phase.paging;
      if (departure !== null) return result(state, phase, [], departure.atMs);
    }
    const late = deadlineMs !== null && input.nowMs >= deadlineMs && !context.postcopyReady;
    if (!late) return result(state, phase);
    return result(state, { kind: 'ended' }, [
      { kind: 'cancel', reason: deadlineReason(deadlineMs, input.nowMs) },
    ]);
  }
  const { observation, forecast, nowMs } = input;
  if (phase.kind === 'paging' && observation.status !== 'postcopy-active') {
    return stepPaging(state, phase.paging, nowMs, observation, forecast);
  }
  if (observation.status === 'postcopy-active') {
    // Somebody else switched: until RESUME room for the page requests can still be made.
    const pushMs = restMs(forecast, observation);
    const room =
      observation.destinationResumed === true
        ? { actions: [], quietMs: 0, pacedMs: 0 }
        : makeRoom(state.options, context, forecast.bandwidthBytesPerSec, { pushMs, tmtMs: nowMs + pushMs });
    const { quietMs, pacedMs } = room;
    const entry = { kind: 'switching', quietMs, pacedMs } as const;
    const entered = stepPostcopy(state.options, context, entry, input);
    return enterPostcopy(state, { ...entered, actions: [...room.actions, ...entered.actions] });
  }
  if (observation.status === 'active' && observation.round === 1 && state.decidedRound <= 1) {
    return withOptions(duringFirstPass(state, nowMs, observation, forecast), forecast);
  }
  const isNewRound =
    observation.kind === 'round' && observation.round >= 2 && observation.round > state.decidedRound;
  if (observation.status !== 'active' || !isNewRound) return result(state, phase, [], deadlineMs);
  const decided = decideRound(keepPromises(state, observation), nowMs, observation, forecast);
  const leftBytes = observation.dirtyAtRoundStartBytes ?? state.leftBytes;
  return withOptions({ ...decided, state: { ...decided.state, leftBytes } }, forecast);
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
    wantsPages: true,
    init: (given) => {
      const entry = { ...defaultPostcopyEntry, ...options };
      const context = entry.shortQueue ? given : { ...given, shortensQueue: false };
      const state: AdaptiveState = {
        context,
        options: entry,
        phase: { kind: 'holding', stuckRounds: 0 },
        decidedRound: 1,
        leftBytes: null,
        promisedBytes: null,
        brokenPromises: 0,
        hopefulRounds: 0,
      };
      const { deadlineMs } = context.objective;
      const wait = waitBefore(context);
      const begun = context.pages === null ? null : beginPaging(context, context.pages);
      if (begun !== null) {
        return result(
          state,
          { kind: 'paging', paging: begun.state },
          [...begun.actions, ...wait],
          deadlineMs,
        );
      }
      const change = { downtimeLimitMs: HOLD_DOWNTIME_LIMIT_MS };
      return result(
        state,
        state.phase,
        [{ kind: 'set-parameters', change, reason: holdReason() }, ...wait],
        deadlineMs,
      );
    },
    step,
  };
}
