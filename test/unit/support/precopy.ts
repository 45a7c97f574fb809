// SPDX-License-Identifier: Apache-2.0
// The adaptive policy on a guest that is nothing but a dirtying curve, round after round.

import { createAdaptivePolicy } from '../../../src/decide/index.ts';
import { dirtyBytesWithin, initForecast } from '../../../src/forecast/index.ts';
import type { Action, DirtyCurve, Objective, PolicyContext } from '../../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB, observation } from './observation.ts';
import { OBJECTIVE, policyContext } from './policy-context.ts';
import { stepOn } from './step-on.ts';

const BANDWIDTH = GIGABIT_BYTES_PER_SEC;

export function context(objective: Partial<Objective> = {}, postcopyReady = true): PolicyContext {
  return policyContext({
    objective: { ...OBJECTIVE, ...objective },
    postcopyReady,
    preemptReady: postcopyReady,
  });
}

/** Runs a policy through the pre-copy of a guest with that curve; returns the actions by round, until it acts. */
export function precopy(curve: DirtyCurve, policyContext: PolicyContext, maxRounds = 20) {
  const policy = createAdaptivePolicy();
  let { state } = policy.init(policyContext);
  let forecasting = initForecast({ switchoverMs: 40 });
  const actions: Action[] = [];
  let atMs = 0;
  let roundMs = (480 * MIB) / (BANDWIDTH / 1000);
  const samples = [100, 300, 1000].map((windowMs) => ({
    windowMs,
    dirtyBytes: dirtyBytesWithin(curve, windowMs),
  }));
  for (let round = 2; round < maxRounds; round++) {
    atMs += roundMs;
    const dirty = Math.min(512 * MIB, dirtyBytesWithin(curve, roundMs));
    const seen = observation({
      atMs,
      round,
      roundStartMs: atMs,
      endedRoundMs: roundMs,
      dirtyAtRoundStartBytes: dirty,
      remainingBytes: dirty,
      dirtySamples: round === 2 ? samples : [],
    });
    const stepped = stepOn(policy, state, forecasting, seen);
    const { step } = stepped;
    ({ forecasting } = stepped);
    ({ state } = step);
    actions.push(...step.actions);
    if (step.actions.some(({ kind }) => kind !== 'continue')) return { round, actions, atMs, state, policy };
    roundMs = dirty / (BANDWIDTH / 1000);
  }
  return { round: maxRounds, actions, atMs, state, policy };
}

/** H 64 MiB at an initial rate of 200 and of 20 MiB/s. */
export const FAST: DirtyCurve = { hotBytes: 64 * MIB, tauMs: 320, coldBytesPerMs: 0 };
export const SLOW: DirtyCurve = { hotBytes: 64 * MIB, tauMs: 3200, coldBytesPerMs: 0 };
