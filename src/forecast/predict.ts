// SPDX-License-Identifier: Apache-2.0
// What each choice costs, from the dirtying curve and the bandwidth: the pre-copy map t' = U(t)/B, its fixed point,
// and total time, downtime and bytes of switching after k more rounds.

import type { DirtyCurve, Estimate, Plateau, Prediction } from '../model/index.ts';
import { dirtyBytesWithin } from './dirty-curve.ts';

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
 * The fixed point t* = U(t*)/B of the pre-copy map, by iteration from a long round: rounds shrink towards it and never
 * below. Worked example: H 64 MiB (67.1 MB), tau 320 ms, B 117 MB/s: t* = 418 ms, 48.9 MB. Null when it is unbounded
 * (r >= B: every round is longer than the one before), in which case no amount of pre-copy helps.
 */
export function plateauOf(
  curve: DirtyCurve,
  bandwidthBytesPerMs: number,
  totalBytes: number,
): Plateau | null {
  if (curve.coldBytesPerMs >= bandwidthBytesPerMs) return null;
  let roundMs = totalBytes / bandwidthBytesPerMs;
  for (let i = 0; i < 500; i++) {
    const nextMs = dirtyBytesWithin(curve, roundMs) / bandwidthBytesPerMs;
    if (Math.abs(nextMs - roundMs) < 0.01) break;
    roundMs = nextMs;
  }
  return { roundMs, dirtyBytes: dirtyBytesWithin(curve, roundMs) };
}

/** The bandwidth at which rounds shrink to a switchover of `transferMs`: B = U(t)/t at t = transferMs, in bytes/ms. */
export function bandwidthNeededBytesPerMs(curve: DirtyCurve, transferMs: number): number {
  return transferMs > 0 ? dirtyBytesWithin(curve, transferMs) / transferMs : Infinity;
}

/** Predictions for switching after k = 0, 1, ... more rounds, by pre-copy and by post-copy. */
export function predictChoices(
  curve: DirtyCurve,
  situation: Situation,
): { precopy: Prediction[]; postcopy: Prediction[] } {
  const { bandwidthBytesPerMs: bandwidth, totalBytes, downtimeOverheadMs } = situation;
  const dirtyWithin = (ms: number): number => Math.min(totalBytes, dirtyBytesWithin(curve, ms));
  const precopy: Prediction[] = [];
  const postcopy: Prediction[] = [];

  const add = (rounds: number, startMs: number, sentBytes: number, dirtyBytes: number): void => {
    // What is dirty now is counted; what will be dirty after k rounds carries the curve's error, growing with k.
    const error = situation.bandwidthErrorRatio + situation.curveErrorRatio * Math.sqrt(rounds);
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
  const sentRatio = 1 - Math.min(1, situation.remainingBytes / totalBytes);
  const dirtyNow = Math.min(
    totalBytes,
    situation.remainingBytes + dirtyWithin(situation.sinceRoundStartMs) * sentRatio,
  );
  add(0, situation.atMs, situation.transferredBytes, dirtyNow);

  let clockMs = situation.atMs + situation.remainingBytes / bandwidth;
  let sentBytes = situation.transferredBytes + situation.remainingBytes;
  let dirtyBytes = dirtyWithin(situation.sinceRoundStartMs + situation.remainingBytes / bandwidth);
  for (let rounds = 1; rounds <= MAX_ROUNDS_AHEAD; rounds++) {
    add(rounds, clockMs, sentBytes, dirtyBytes);
    const roundMs = dirtyBytes / bandwidth;
    clockMs += roundMs;
    sentBytes += dirtyBytes;
    const next = dirtyWithin(roundMs);
    if (next > dirtyBytes * 0.98) break;
    dirtyBytes = next;
  }
  return { precopy, postcopy };
}
