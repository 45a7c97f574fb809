// SPDX-License-Identifier: Apache-2.0
// What each choice costs, from the dirtying curve and the bandwidth: the pre-copy map t' = U(t)/B, its fixed point,
// and total time, downtime and bytes of switching after k more rounds.

import type { DirtyCurve, Estimate, Plateau, Prediction } from '../model/index.ts';
import { dirtyBytesWithin } from './dirty-curve.ts';
import type { Dirtying } from './pace.ts';

/** The present moment, as the predictions need it. */
export interface Situation {
  readonly atMs: number;
  readonly bandwidthBytesPerMs: number;
  readonly remainingBytes: number;
  /** Time since the present round began: what was dirtied since then is not in `remainingBytes`. */
  readonly sinceRoundStartMs: number;
  readonly transferredBytes: number;
  readonly totalBytes: number;
  readonly downtimeOverheadMs: number;
  /** What the guest dirties between two moments. */
  readonly dirtying: Dirtying;
  /** How far ahead the guest's course is known, so that later rounds may leave less again; null: it goes on as it is. */
  readonly horizonMs: number | null;
  /** Relative error of the curve and of the bandwidth. */
  readonly curveErrorRatio: number;
  readonly bandwidthErrorRatio: number;
}

const MAX_ROUNDS_AHEAD = 8;

function estimate(expected: number, errorRatio: number, floor = 0): Estimate {
  return {
    expected,
    low: Math.max(floor, expected / (1 + errorRatio)),
    high: expected * (1 + errorRatio),
  };
}

/**
 * The fixed point t* = U(t*)/B of the pre-copy map: rounds shrink towards it and never below. By Newton's steps on
 * U(t)/B - t, which is concave, so that they come from above and do not miss it. Worked example: H 64 MiB (67.1 MB), tau
 * 320 ms, B 117 MB/s: t* = 418 ms, 48.9 MB. Null when it is unbounded (r >= B: every round is longer than the one before), in
 * which case no amount of pre-copy helps.
 */
export function plateauOf(
  curve: DirtyCurve,
  bandwidthBytesPerMs: number,
  totalBytes: number,
): Plateau | null {
  const { hotBytes, tauMs, coldBytesPerMs } = curve;
  if (coldBytesPerMs >= bandwidthBytesPerMs) return null;
  let roundMs = totalBytes / bandwidthBytesPerMs;
  for (let i = 0; i < 60; i++) {
    const excessMs = dirtyBytesWithin(curve, roundMs) / bandwidthBytesPerMs - roundMs;
    const slope =
      ((hotBytes / tauMs) * Math.exp(-roundMs / tauMs) + coldBytesPerMs) / bandwidthBytesPerMs - 1;
    // Left of the top the next step would lead to 0, which is a fixed point, too, but not the one that rounds come to.
    const nextMs = slope < -1e-6 ? roundMs - excessMs / slope : roundMs * 2;
    const settled = Math.abs(nextMs - roundMs) < 0.01;
    roundMs = Math.max(0, nextMs);
    if (settled || roundMs === 0) break;
  }
  return { roundMs, dirtyBytes: dirtyBytesWithin(curve, roundMs) };
}

/** The bandwidth at which rounds shrink to a switchover of `transferMs`: B = U(t)/t at t = transferMs, in bytes/ms. */
export function bandwidthNeededBytesPerMs(curve: DirtyCurve, transferMs: number): number {
  return transferMs > 0 ? dirtyBytesWithin(curve, transferMs) / transferMs : Infinity;
}

/** Rounds into the future of a guest whose course is known: so many at most, and shorter ones change nothing any more. */
const MAX_ROUNDS_ON_COURSE = 64;
const LEAST_ROUND_MS = 5;
/** A course that repeats itself does not get more uncertain for ever. */
const MOST_ERROR_GROWTH = 2;

/** Predictions for switching after k = 0, 1, ... more rounds, by pre-copy and by post-copy. */
export function predictChoices(situation: Situation): { precopy: Prediction[]; postcopy: Prediction[] } {
  const { bandwidthBytesPerMs: bandwidth, totalBytes, downtimeOverheadMs, horizonMs } = situation;
  const dirtyBetween = (fromMs: number, toMs: number): number =>
    Math.min(totalBytes, situation.dirtying(fromMs, toMs));
  const precopy: Prediction[] = [];
  const postcopy: Prediction[] = [];

  const add = (rounds: number, startMs: number, sentBytes: number, dirtyBytes: number): void => {
    // What is dirty now is counted; what will be dirty after k rounds carries the curve's error, growing with k.
    const growth = Math.min(Math.sqrt(rounds), horizonMs === null ? Infinity : MOST_ERROR_GROWTH);
    const error = situation.bandwidthErrorRatio + situation.curveErrorRatio * growth;
    const transferMs = dirtyBytes / bandwidth;
    const bytes = estimate(sentBytes + dirtyBytes, error, situation.transferredBytes);
    const tmtMs = estimate(startMs + transferMs + downtimeOverheadMs, error, situation.atMs);
    precopy.push({
      rounds,
      tmtMs,
      downtimeMs: estimate(transferMs + downtimeOverheadMs, error),
      bytes,
      dirtyAtSwitchBytes: dirtyBytes,
    });
    postcopy.push({
      rounds,
      tmtMs,
      downtimeMs: estimate(downtimeOverheadMs, situation.bandwidthErrorRatio),
      bytes,
      dirtyAtSwitchBytes: dirtyBytes,
    });
  };

  // Of what was dirtied in this round only pages that were not waiting to be sent anyway come on top.
  const { atMs, remainingBytes, sinceRoundStartMs } = situation;
  const sentRatio = 1 - Math.min(1, remainingBytes / totalBytes);
  const dirtyNow = Math.min(
    totalBytes,
    remainingBytes + dirtyBetween(atMs - sinceRoundStartMs, atMs) * sentRatio,
  );
  add(0, atMs, situation.transferredBytes, dirtyNow);

  let clockMs = atMs + remainingBytes / bandwidth;
  let sentBytes = situation.transferredBytes + remainingBytes;
  let dirtyBytes = dirtyBetween(atMs - sinceRoundStartMs, clockMs);
  const mostRounds = horizonMs === null ? MAX_ROUNDS_AHEAD : MAX_ROUNDS_ON_COURSE;
  for (let rounds = 1; rounds <= mostRounds; rounds++) {
    add(rounds, clockMs, sentBytes, dirtyBytes);
    const roundMs = dirtyBytes / bandwidth;
    const next = dirtyBetween(clockMs, clockMs + roundMs);
    clockMs += roundMs;
    sentBytes += dirtyBytes;
    const isOver =
      horizonMs === null ? next > dirtyBytes * 0.98 : clockMs > atMs + horizonMs || roundMs < LEAST_ROUND_MS;
    if (isOver) break;
    dirtyBytes = next;
  }
  return { precopy, postcopy };
}
