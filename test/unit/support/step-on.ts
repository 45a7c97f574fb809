// SPDX-License-Identifier: Apache-2.0
// One observation as the controller takes it: folded into the forecast, then given to the policy.

import { type ForecastState, stepForecast } from '../../../src/forecast/index.ts';
import type { Observation, Policy, PolicyStep } from '../../../src/model/index.ts';

export interface Stepped<State> {
  readonly forecasting: ForecastState;
  readonly step: PolicyStep<State>;
}

export function stepOn<State>(
  policy: Policy<State>,
  state: State,
  forecasting: ForecastState,
  observation: Observation,
): Stepped<State> {
  const folded = stepForecast(forecasting, observation);
  const { atMs: nowMs } = observation;
  const { forecast } = folded;
  const step = policy.step(state, { kind: 'observation', nowMs, observation, forecast });
  return { forecasting: folded.state, step };
}
