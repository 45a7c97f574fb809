// SPDX-License-Identifier: Apache-2.0
// The forecast as a fold over observations: remembers points of the dirtying curve and the bandwidth, and says what every
// choice would cost from the present moment on. What nobody looks at is not worked out.

import { once } from '../common/index.ts';
import type {
  DirtyCurve,
  Forecast,
  GuestProfile,
  Objective,
  Observation,
  Pace,
  WorkingSetConfig,
} from '../model/index.ts';
import {
  type CurvePoint,
  type CurvePoints,
  dirtyBytesWithin,
  fitDirtyCurve,
  withPoint,
} from './dirty-curve.ts';
import { dirtyingOf } from './pace.ts';
import { plateauOf, predictChoices } from './predict.ts';
import { readProfile } from './profile-model.ts';
import {
  DEFAULT_WORKING_SET,
  hasConverged,
  initialWorkingSet,
  stepWorkingSet,
  type WorkingSetState,
} from './working-set.ts';

export interface ForecastConfig {
  /** STOP to RESUME beyond the transfer of the dirty set: device state out, in, and the destination's start. */
  readonly switchoverMs: number;
  /** What was seen of the guest before; absent or null: nothing. */
  readonly profile?: GuestProfile | null;
  /** Of what the operator wants: when the working set has converged; absent: `DEFAULT_WORKING_SET`. */
  readonly objective?: Pick<Objective, 'workingSet'>;
}

export interface ForecastState {
  readonly config: ForecastConfig;
  /** Points of finished rounds and direct samples. */
  readonly points: CurvePoints;
  /** The same with the newest, which the curve is fitted to; kept as it is while they are, so that it is fitted once. */
  readonly fitted: CurvePoints;
  /** The point of the round boundary seen last: its size may still be corrected by a race-free reading. */
  readonly newest:
    | (CurvePoint & {
        readonly round: number;
        /** W of the round, what was left unsent included. */
        readonly wholeBytes: number;
        readonly unsentBytes: number | null;
        /** What the round that ended had to send. */
        readonly toSendBytes: number | null;
      })
    | null;
  /** Where the guest was found to repeat itself before the migration. */
  readonly pace: Pace | null;
  readonly bandwidthBytesPerSec: number | null;
  readonly workingSet: WorkingSetState;
}

// No forecast of a live guest is better than a few per cent, however well few points fit.
const CURVE_ERROR_FLOOR = 0.05;
const CURVE_ERROR_ONE_POINT = 0.3;
const BANDWIDTH_ERROR = 0.05;

/** The last round moves the whole curve by no more than this factor, up or down. */
const MOST_LEVEL = 4;

export function initForecast(config: ForecastConfig): ForecastState {
  const { profile = null } = config;
  const known = profile === null ? null : readProfile(profile);
  const points: CurvePoints = known?.points ?? new Map();
  return {
    config,
    points,
    fitted: points,
    newest: null,
    pace: known?.pace?.periodic === true ? known.pace : null,
    bandwidthBytesPerSec: null,
    workingSet: initialWorkingSet,
  };
}

function workingSetConfig({ config }: ForecastState): WorkingSetConfig {
  return config.objective?.workingSet ?? DEFAULT_WORKING_SET;
}

/** More than this share of a set cannot be told from what was left of it. */
const MOST_WAITING_RATIO = 0.8;

/**
 * What was written in a round that left W dirty, u of it unsent of the w that it had to send: of what is written the share u/w
 * was waiting anyway, so that W = u + U (1 - u/w). Worked example: W 54.8 MB, u 26.1 of 218 MB: U = 28.7/0.88 = 32.6 MB.
 */
function writtenOf(dirtyBytes: number, unsentBytes: number | null, toSendBytes: number | null): number {
  if (unsentBytes === null || toSendBytes === null || toSendBytes <= 0) return dirtyBytes;
  const waitingRatio = Math.min(MOST_WAITING_RATIO, unsentBytes / toSendBytes);
  return Math.max(0, dirtyBytes - unsentBytes) / (1 - waitingRatio);
}

/** Folds one observation in. Pure; never throws on data. */
export function foldObservation(state: ForecastState, observation: Observation): ForecastState {
  let { points, newest } = state;
  for (const sample of observation.dirtySamples) {
    points = withPoint(points, { ...sample, atMs: observation.atMs });
  }
  const dirtyBytes = observation.dirtyAtRoundStartBytes;
  if (dirtyBytes !== null && observation.status === 'active') {
    if (observation.endedRoundMs !== null) {
      if (newest !== null) points = withPoint(points, newest);
      const toSendBytes = newest?.wholeBytes ?? observation.totalBytes;
      newest = {
        round: observation.round,
        windowMs: observation.endedRoundMs,
        dirtyBytes: writtenOf(dirtyBytes, observation.unsentBytes, toSendBytes),
        atMs: observation.roundStartMs,
        wholeBytes: dirtyBytes,
        unsentBytes: observation.unsentBytes,
        toSendBytes,
      };
    } else if (newest?.round === observation.round) {
      const { unsentBytes, toSendBytes } = newest;
      newest = {
        ...newest,
        wholeBytes: dirtyBytes,
        dirtyBytes: writtenOf(dirtyBytes, unsentBytes, toSendBytes),
      };
    }
  }
  const round = observation.pages?.round ?? null;
  const changed = points !== state.points || newest !== state.newest;
  return {
    ...state,
    points,
    newest,
    fitted: !changed ? state.fitted : newest === null ? points : withPoint(points, newest),
    bandwidthBytesPerSec: observation.bandwidthBytesPerSec ?? state.bandwidthBytesPerSec,
    workingSet:
      round === null ? state.workingSet : stepWorkingSet(state.workingSet, round, workingSetConfig(state)),
  };
}

interface Learnt {
  readonly curve: DirtyCurve;
  readonly errorRatio: number;
}

/**
 * The curve of all points, moved as a whole so that it passes through the last round: a guest is rather as it was just now
 * than as it was on average. Over 80 migrations (412 rounds, traces/tuning) the next round's writing is wrong by 17.7 % so, by 63 %
 * with the curve alone, by 25.4 % with persistence; bench/README.md.
 */
function learnt({ fitted, newest, pace }: ForecastState): Learnt | null {
  const fit = fitDirtyCurve(fitted);
  if (fit === null) return null;
  const errorRatio =
    fitted.size === 1 ? CURVE_ERROR_ONE_POINT : Math.max(CURVE_ERROR_FLOOR, fit.residualRatio);
  if (newest === null || fitted.size === 1) return { curve: fit.curve, errorRatio };
  const { windowMs, dirtyBytes, atMs } = newest;
  const modelled =
    pace === null
      ? dirtyBytesWithin(fit.curve, windowMs)
      : dirtyingOf(fit.curve, pace)(atMs - windowMs, atMs);
  const level = modelled > 0 ? dirtyBytes / modelled : 1;
  // A quiet moment of a guest that is known to have them is none of the curve's business.
  if (pace !== null && (level > MOST_LEVEL || level < 1 / MOST_LEVEL))
    return { curve: fit.curve, errorRatio };
  const by = Math.min(MOST_LEVEL, Math.max(1 / MOST_LEVEL, level));
  const { hotBytes, tauMs, coldBytesPerMs } = fit.curve;
  return { curve: { hotBytes: hotBytes * by, tauMs, coldBytesPerMs: coldBytesPerMs * by }, errorRatio };
}

/** How far ahead a course is looked at: all of one period, from wherever in it the guest is, and what a switchover takes. */
const HORIZON_PERIODS = 1.1;

/** The forecast at an observation that was folded in. */
export function forecastOf(state: ForecastState, observation: Observation): Forecast {
  const { config, pace, bandwidthBytesPerSec: bandwidth, fitted } = state;
  const { remainingBytes, transferredBytes, totalBytes } = observation;
  const curve = once(() => learnt(state));
  const ready =
    fitted.size > 0 &&
    bandwidth !== null &&
    bandwidth > 0 &&
    remainingBytes !== null &&
    transferredBytes !== null &&
    totalBytes !== null &&
    totalBytes > 0;
  // After the switch nothing is dirtied at the source any more: what remains is what is left to send.
  const inPrecopy = observation.status === 'active';
  const choices = once(() => {
    const known = curve();
    if (!ready || known === null) return { precopy: [], postcopy: [] };
    const { precopy, postcopy } = predictChoices({
      atMs: observation.atMs,
      bandwidthBytesPerMs: bandwidth / 1000,
      remainingBytes,
      sinceRoundStartMs: inPrecopy ? Math.max(0, observation.atMs - observation.roundStartMs) : 0,
      transferredBytes,
      totalBytes,
      downtimeOverheadMs: config.switchoverMs,
      dirtying: dirtyingOf(known.curve, pace),
      horizonMs: pace === null ? null : pace.values.length * pace.stepMs * HORIZON_PERIODS,
      curveErrorRatio: known.errorRatio,
      bandwidthErrorRatio: BANDWIDTH_ERROR,
    });
    return inPrecopy ? { precopy, postcopy } : { precopy: [], postcopy: postcopy.slice(0, 1) };
  });
  const plateau = once(() => {
    const known = curve();
    return ready && known !== null ? plateauOf(known.curve, bandwidth / 1000, totalBytes) : null;
  });
  return {
    atMs: observation.atMs,
    bandwidthBytesPerSec: bandwidth,
    downtimeOverheadMs: config.switchoverMs,
    workingSetConverged: hasConverged(state.workingSet, workingSetConfig(state)),
    ready,
    pace,
    get longestWindowMs() {
      return Math.max(0, ...[...fitted.values()].map(({ windowMs }) => windowMs));
    },
    get curve() {
      return curve()?.curve ?? null;
    },
    get errorRatio() {
      return ready ? (curve()?.errorRatio ?? CURVE_ERROR_ONE_POINT) : CURVE_ERROR_ONE_POINT;
    },
    get plateau() {
      return plateau();
    },
    get precopy() {
      return choices().precopy;
    },
    get postcopy() {
      return choices().postcopy;
    },
  };
}

/** Both at once. */
export function stepForecast(
  before: ForecastState,
  observation: Observation,
): { state: ForecastState; forecast: Forecast } {
  const state = foldObservation(before, observation);
  return { state, forecast: forecastOf(state, observation) };
}
