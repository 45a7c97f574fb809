// SPDX-License-Identifier: Apache-2.0
// The adaptive policy during the first pass over the memory: no round has ended yet, but the direct samples of the dirtying
// curve may tell enough.

import type { Forecast, Observation, PolicyStep } from '../model/index.ts';
import {
  type AdaptiveState,
  type Phase,
  release,
  releaseOrKeep,
  result,
  switchOver,
} from './adaptive-state.ts';
import { shareBeforeSwitch } from './early-switch.ts';
import { choosePlan, precopyIsHopeless, reachesTheLimit } from './plan.ts';
import { openReason, scheduleReason } from './reasons.ts';

/** Steps the policy on an observation of the first pass. */
export function duringFirstPass(
  state: AdaptiveState,
  nowMs: number,
  observation: Observation,
  forecast: Forecast,
): PolicyStep<AdaptiveState> {
  const { objective, postcopyReady } = state.context;
  const { remainingBytes, totalBytes } = observation;
  if (!reachesTheLimit(forecast, objective)) return result(state, state.phase, [], objective.deadlineMs);
  // Decided early, the limit is in place when QEMU comes to the end of the pass: a QMP command takes tens of ms there, and QEMU
  // would spin through rounds meanwhile.
  const plan = choosePlan(forecast, objective, postcopyReady);
  if (plan?.kind === 'finish') return releaseOrKeep(state, forecast, observation, plan);
  const share = shareBeforeSwitch(forecast, state.context);
  const mayGo = postcopyReady && objective.postcopy !== 'forbidden' && precopyIsHopeless(forecast, objective);
  if (!mayGo || share === null || remainingBytes === null || totalBytes === null) {
    const ceilingMs = objective.maxDowntimeMs;
    if (state.phase.kind === 'released' && state.phase.ceilingMs >= ceilingMs) {
      return result(state, state.phase, [], objective.deadlineMs);
    }
    return release(state, forecast, ceilingMs, openReason(forecast, observation, ceilingMs));
  }
  const bytesToGo = Math.max(0, remainingBytes - (1 - share) * totalBytes);
  const atMs = nowMs + (bytesToGo / (forecast.bandwidthBytesPerSec ?? Infinity)) * 1000;
  const phase = { kind: 'scheduled', atMs, observation, forecast } as const;
  if (bytesToGo === 0) return asScheduled(state, phase, nowMs);
  const isNew = state.phase.kind !== 'scheduled';
  const reason = scheduleReason(forecast, observation, share, objective.maxDowntimeMs);
  return result(state, phase, isNew ? [{ kind: 'continue', reason }] : [], atMs);
}

/** Goes post-copy: the moment that was scheduled has come. */
export function asScheduled(
  state: AdaptiveState,
  { observation, forecast }: Extract<Phase, { kind: 'scheduled' }>,
  nowMs: number,
): PolicyStep<AdaptiveState> {
  const [choice] = forecast.postcopy;
  if (choice === undefined) return result(state, state.phase);
  const bestPrecopyMs = Math.min(...forecast.precopy.map(({ downtimeMs }) => downtimeMs.expected));
  return switchOver(state, nowMs, observation, forecast, { kind: 'postcopy', choice, bestPrecopyMs });
}
