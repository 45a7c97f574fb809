// SPDX-License-Identifier: Apache-2.0
// The forecast as a fold over observations: remembers points of the dirtying curve and the bandwidth, and returns what
// every choice would cost from the present moment on.

import type { Forecast, Observation } from '../model/index.ts';
import { type CurvePoint, type CurvePoints, fitDirtyCurve, withPoint } from './dirty-curve.ts';
import { plateauOf, predictChoices } from './predict.ts';
import {
  DEFAULT_WORKING_SET,
  hasConverged,
  initialWorkingSet,
  stepWorkingSet,
  type WorkingSetConfig,
  type WorkingSetState,
} from './working-set.ts';

export interface ForecastConfig {
  /** STOP to RESUME beyond the transfer of the dirty set: device state out, in, and the destination's start. */
  readonly switchoverMs: number;
  /** `DEFAULT_WORKING_SET` when absent. */
  readonly workingSet?: WorkingSetConfig;
}

export interface ForecastState {
  readonly config: ForecastConfig;
  /** Points of finished rounds and direct samples. */
  readonly points: CurvePoints;
  /** The point of the round boundary seen last: its size may still be corrected by a race-free reading. */
  readonly newest: (CurvePoint & { readonly round: number }) | null;
  readonly bandwidthBytesPerSec: number | null;
  readonly workingSet: WorkingSetState;
}

// No forecast of a live guest is better than a few per cent, however well few points fit.
const CURVE_ERROR_FLOOR = 0.05;
const CURVE_ERROR_ONE_POINT = 0.3;
const BANDWIDTH_ERROR = 0.05;

export function initForecast(config: ForecastConfig): ForecastState {
  return {
    config,
    points: new Map(),
    newest: null,
    bandwidthBytesPerSec: null,
    workingSet: initialWorkingSet,
  };
}

function learn(state: ForecastState, observation: Observation): ForecastState {
  let { points, newest } = state;
  for (const sample of observation.dirtySamples) {
    points = withPoint(points, { ...sample, atMs: observation.atMs });
  }
  const dirtyBytes = observation.dirtyAtRoundStartBytes;
  if (dirtyBytes !== null && observation.status === 'active') {
    if (observation.endedRoundMs !== null) {
      if (newest !== null) points = withPoint(points, newest);
      newest = {
        round: observation.round,
        windowMs: observation.endedRoundMs,
        dirtyBytes,
        atMs: observation.atMs,
      };
    } else if (newest?.round === observation.round) {
      newest = { ...newest, dirtyBytes };
    }
  }
  const round = observation.pages?.round ?? null;
  return {
    ...state,
    points,
    newest,
    bandwidthBytesPerSec: observation.bandwidthBytesPerSec ?? state.bandwidthBytesPerSec,
    workingSet:
      round === null ? state.workingSet : stepWorkingSet(state.workingSet, round, workingSetConfig(state)),
  };
}

function workingSetConfig({ config }: ForecastState): WorkingSetConfig {
  return config.workingSet ?? DEFAULT_WORKING_SET;
}

/** Folds one observation in. Pure; never throws on data. */
export function stepForecast(
  before: ForecastState,
  observation: Observation,
): { state: ForecastState; forecast: Forecast } {
  const state = learn(before, observation);
  const points = state.newest === null ? state.points : withPoint(state.points, state.newest);
  const fit = fitDirtyCurve(points);
  const bandwidth = state.bandwidthBytesPerSec;
  const { config } = state;
  const downtimeOverheadMs = config.switchoverMs;
  const longestWindowMs = Math.max(0, ...[...points.values()].map(({ windowMs }) => windowMs));
  const base = {
    atMs: observation.atMs,
    bandwidthBytesPerSec: bandwidth,
    downtimeOverheadMs,
    longestWindowMs,
    workingSetConverged: hasConverged(state.workingSet, workingSetConfig(state)),
  };

  const { remainingBytes, transferredBytes, totalBytes } = observation;
  if (
    fit === null ||
    bandwidth === null ||
    bandwidth <= 0 ||
    remainingBytes === null ||
    transferredBytes === null ||
    totalBytes === null
  ) {
    return {
      state,
      forecast: {
        ...base,
        ready: false,
        curve: fit?.curve ?? null,
        errorRatio: CURVE_ERROR_ONE_POINT,
        plateau: null,
        precopy: [],
        postcopy: [],
      },
    };
  }
  const errorRatio =
    points.size === 1 ? CURVE_ERROR_ONE_POINT : Math.max(CURVE_ERROR_FLOOR, fit.residualRatio);
  const bandwidthBytesPerMs = bandwidth / 1000;
  // After the switch nothing is dirtied at the source any more: what remains is what is left to send.
  const inPrecopy = observation.status === 'active';
  const choices = predictChoices(fit.curve, {
    atMs: observation.atMs,
    bandwidthBytesPerMs,
    remainingBytes,
    sinceRoundStartMs: inPrecopy ? Math.max(0, observation.atMs - observation.roundStartMs) : 0,
    transferredBytes,
    totalBytes,
    downtimeOverheadMs,
    curveErrorRatio: errorRatio,
    bandwidthErrorRatio: BANDWIDTH_ERROR,
  });
  return {
    state,
    forecast: {
      ...base,
      ready: true,
      curve: fit.curve,
      errorRatio,
      plateau: plateauOf(fit.curve, bandwidthBytesPerMs, totalBytes),
      precopy: inPrecopy ? choices.precopy : [],
      postcopy: inPrecopy ? choices.postcopy : choices.postcopy.slice(0, 1),
    },
  };
}
