// SPDX-License-Identifier: Apache-2.0
// What a policy would have done at each moment of a recorded migration: the same observations, its own decisions. Up to its
// first decision that QEMU was not given the recording is what it would have seen; from there on the model says how it would
// have gone on.

import {
  fitDirtyCurve,
  foldObservation,
  type ForecastState,
  forecastOf,
  initForecast,
  readProfile,
} from '../forecast/index.ts';
import type { Action, Observation, Policy, PolicyContext, PolicyStep } from '../model/index.ts';
import { guestOfCurve, type SimulatedGuest } from './guest.ts';
import { simulateMigration } from './migration.ts';
import type { SimulatedAction, SimulatedRun } from './simulation.ts';

/** A recorded migration, as far as a replay needs it. */
export interface Recording {
  readonly context: PolicyContext;
  readonly observations: readonly Observation[];
  /** What was carried out, in the order of time; those before the migrate command at 0 or before. */
  readonly actions: readonly { readonly atMs: number; readonly kind: string; readonly change: unknown }[];
}

export interface Replay {
  readonly policy: string;
  /** What it would have wanted, on the recorded observations. */
  readonly decisions: readonly SimulatedAction[];
  /** When it first wanted what the recorded migration was not given, or did not want what that was; null: never. */
  readonly partsAtMs: number | null;
  /** How it would have ended, by the model from where they part on; null: as recorded. */
  readonly then: SimulatedRun | null;
}

/** Actions that change what QEMU does, as text to compare them by. */
function deedOf({ kind, change }: { readonly kind: string; readonly change: unknown }): string | null {
  if (kind === 'continue' || kind === 'wait') return null;
  return kind === 'set-parameters' ? JSON.stringify(change) : kind;
}

function asDeed(action: Action): string | null {
  return deedOf({ kind: action.kind, change: action.kind === 'set-parameters' ? action.change : null });
}

/** A policy at a moment of a recording, with what its forecast knows by then. */
export interface ReplayPoint {
  readonly step: Pick<PolicyStep<unknown>, 'state' | 'wakeAtMs'>;
  readonly forecasting: ForecastState;
  readonly decisions: readonly SimulatedAction[];
}

/** The frame that a policy would have decided in: whether post-copy is enabled is its own wish, within what the operator allows. */
function frameOf({ capabilities }: Policy, context: PolicyContext): PolicyContext {
  const may = context.objective.postcopy !== 'forbidden';
  const wants = (name: 'postcopy-ram' | 'postcopy-preempt'): boolean =>
    may && (capabilities === undefined || capabilities.includes(name));
  return { ...context, postcopyReady: wants('postcopy-ram'), preemptReady: wants('postcopy-preempt') };
}

/** Runs a policy over the first observations; ticks come when it asked for them. */
export function replayUntil(
  policy: Policy,
  { context: recorded, observations }: Pick<Recording, 'context' | 'observations'>,
  count = observations.length,
  onDecision: (decision: SimulatedAction) => void = () => undefined,
): ReplayPoint {
  const context = frameOf(policy, recorded);
  const decisions: SimulatedAction[] = [];
  let forecasting = initForecast(context);
  let step = policy.init(context);
  const take = (atMs: number, next: PolicyStep<unknown>): void => {
    step = next;
    for (const action of next.actions) {
      const decision = { atMs, action };
      decisions.push(decision);
      onDecision(decision);
    }
  };
  take(0, step);
  for (const observation of observations.slice(0, count)) {
    const { atMs } = observation;
    for (let i = 0; step.wakeAtMs !== null && step.wakeAtMs < atMs && i < MAX_TICKS; i++) {
      const nowMs = Math.max(step.wakeAtMs, 0);
      const before = step.wakeAtMs;
      take(nowMs, policy.step(step.state, { kind: 'tick', nowMs }));
      if (step.wakeAtMs === before) break;
    }
    forecasting = foldObservation(forecasting, observation);
    const forecast = forecastOf(forecasting, observation);
    take(atMs, policy.step(step.state, { kind: 'observation', nowMs: atMs, observation, forecast }));
  }
  return { step, forecasting, decisions };
}

const MAX_TICKS = 1000;

/**
 * The guest of a recording: the curve of all that was seen of it, at the pace of its profile where there is one. Null where
 * nothing was learnt of it.
 */
export function guestOfRecording({ context, observations }: Recording): SimulatedGuest | null {
  const state = observations.reduce(foldObservation, initForecast(context));
  const known = context.profile === null ? null : readProfile(context.profile);
  const curve = known?.curve ?? fitDirtyCurve(state.fitted)?.curve;
  if (curve === undefined) return null;
  const zeroBytes = Math.max(0, ...observations.map((each) => each.zeroBytes ?? 0));
  return guestOfCurve(
    context.memoryBytes,
    Math.min(zeroBytes, context.memoryBytes),
    curve,
    known?.pace ?? null,
  );
}

/** Replays a policy on a recording. Bit-identical from run to run: nothing but its inputs decides. */
export function replay(policy: Policy, recording: Recording, linkBytesPerSec: number | null): Replay {
  const recorded = recording.actions.map(deedOf).filter((deed) => deed !== null);
  const times = recording.actions.filter((action) => deedOf(action) !== null).map(({ atMs }) => atMs);
  let taken = 0;
  let partsAtMs: number | null = null;
  const { decisions } = replayUntil(policy, recording, undefined, ({ atMs, action }) => {
    const deed = asDeed(action);
    if (deed === null || partsAtMs !== null) return;
    if (deed === recorded[taken]) taken += 1;
    else partsAtMs = Math.min(atMs, times[taken] ?? atMs);
  });
  const missed = times[taken];
  partsAtMs ??= missed ?? null;
  if (partsAtMs === null) return { policy: policy.name, decisions, partsAtMs, then: null };
  return {
    policy: policy.name,
    decisions: decisions.filter(({ atMs }) => atMs <= (partsAtMs ?? Infinity)),
    partsAtMs,
    then: goOn(policy, recording, partsAtMs, linkBytesPerSec),
  };
}

/** How a policy would go on from a moment of a recording; null where nothing was learnt of the guest. */
export function goOn(
  policy: Policy,
  recording: Recording,
  fromMs: number,
  linkBytesPerSec: number | null,
): SimulatedRun | null {
  const guest = guestOfRecording(recording);
  const { observations } = recording;
  const context = frameOf(policy, recording.context);
  const count = observations.findLastIndex(({ atMs, status }) => atMs < fromMs && status === 'active') + 1;
  const bandwidth =
    linkBytesPerSec ?? Math.max(0, ...observations.map((each) => each.bandwidthBytesPerSec ?? 0));
  if (guest === null || bandwidth <= 0) return null;
  if (count === 0) return simulateMigration({ policy, context, guest, linkBytesPerSec: bandwidth });
  return continueFrom(policy, recording, count, guest, bandwidth);
}

/** The rest of a migration in the model, from the last of its first `count` observations on, with the policy as it is by then. */
export function continueFrom(
  policy: Policy,
  recording: Pick<Recording, 'context' | 'observations'>,
  count: number,
  guest: SimulatedGuest,
  linkBytesPerSec: number,
): SimulatedRun {
  const { observations } = recording;
  const context = frameOf(policy, recording.context);
  const last = observations[count - 1];
  const point = replayUntil(policy, recording, count);
  const remaining = last?.remainingBytes ?? guest.memoryBytes;
  const zeroSeen = last?.zeroBytes ?? 0;
  // Zero pages that were not gone over yet wait in what the first pass left unsent.
  const unsent = last?.round === 1 ? remaining : (last?.unsentBytes ?? 0);
  const zeroLeft = Math.min(unsent, Math.max(0, guest.zeroBytes - zeroSeen));
  const parameters = point.decisions.reduce(
    (values, { action }) => (action.kind === 'set-parameters' ? { ...values, ...action.change } : values),
    context.parameters,
  );
  return simulateMigration({
    policy,
    context: { ...context, parameters },
    guest,
    linkBytesPerSec,
    from: {
      nowMs: last?.atMs ?? 0,
      round: last?.round ?? 1,
      roundStartMs: last?.roundStartMs ?? 0,
      pendingBytes: remaining,
      zeroRatio: remaining > 0 ? Math.min(1, zeroLeft / remaining) : 0,
      transferredBytes: last?.transferredBytes ?? 0,
      policyStep: point.step,
      forecasting: point.forecasting,
      status: last?.status ?? 'active',
      switching:
        last?.status !== 'postcopy-active' &&
        point.decisions.some(({ action }) => action.kind === 'start-postcopy'),
    },
  });
}
