// SPDX-License-Identifier: Apache-2.0
// What a migration is forecast to cost before it begins, by technique and bandwidth: the rounds of predict.ts, begun with
// everything still to be sent. Good for comparing ways and orders; src/simulate models QEMU more closely.

import type { GuestProfile, Prediction, Technique, VmCost } from '../model/index.ts';
import { dirtyingOf } from './pace.ts';
import { predictChoices } from './predict.ts';
import { readProfile, zeroBytesOf } from './profile-model.ts';

export interface CostQuestion {
  readonly technique: Technique;
  readonly bandwidthBytesPerSec: number;
  readonly maxDowntimeMs: number;
  readonly mayPostcopy: boolean;
  /** STOP to RESUME beyond the transfer. */
  readonly switchoverMs: number;
}

/** A guest goes on as it was seen, and a link carries what it is said to, give or take so much (simulate/ways.ts has the same). */
const CURVE_ERROR_RATIO = 0.15;
const BANDWIDTH_ERROR_RATIO = 0.05;

function chosen(
  { technique, maxDowntimeMs, mayPostcopy }: CostQuestion,
  precopy: readonly Prediction[],
  postcopy: readonly Prediction[],
): Prediction | undefined {
  // Round 0 is now, with nothing sent.
  const fitting = precopy.find(
    ({ rounds, downtimeMs }) => rounds > 0 && downtimeMs.expected <= maxDowntimeMs,
  );
  const hybrid = mayPostcopy ? postcopy.find(({ rounds }) => rounds === 1) : undefined;
  switch (technique) {
    case 'precopy':
      return fitting;
    case 'postcopy':
      return mayPostcopy ? postcopy.find(({ rounds }) => rounds === 0) : undefined;
    case 'hybrid':
      return hybrid;
    case 'adaptive':
      // It goes on with pre-copy as long as that is forecast to fit, and costs no more than the other way.
      return fitting !== undefined &&
        (hybrid === undefined || fitting.tmtMs.expected <= hybrid.tmtMs.expected * 1.05)
        ? fitting
        : (hybrid ?? fitting);
  }
}

/**
 * Null where the profile teaches nothing. Figures are null where that way does not converge, or is not allowed.
 *
 * 208 MiB of which nothing is zero, at 117 MB/s, dirtying nothing: 1.86 s and 218 MB by pre-copy.
 */
export function costOfProfile(profile: GuestProfile, question: CostQuestion): VmCost | null {
  const { technique, bandwidthBytesPerSec, switchoverMs } = question;
  const known = readProfile(profile);
  if (known === null || !(bandwidthBytesPerSec > 0)) return null;
  const fullBytes = Math.max(1, profile.memoryBytes - zeroBytesOf(profile));
  const { precopy, postcopy } = predictChoices({
    atMs: 0,
    bandwidthBytesPerMs: bandwidthBytesPerSec / 1000,
    remainingBytes: fullBytes,
    sinceRoundStartMs: 0,
    transferredBytes: 0,
    totalBytes: fullBytes,
    downtimeOverheadMs: switchoverMs,
    dirtying: dirtyingOf(known.curve, known.pace),
    horizonMs: null,
    curveErrorRatio: Math.max(CURVE_ERROR_RATIO, known.residualRatio),
    bandwidthErrorRatio: BANDWIDTH_ERROR_RATIO,
  });
  const choice = chosen(question, precopy, postcopy);
  return {
    technique,
    bandwidthBytesPerSec,
    tmtMs: choice?.tmtMs ?? null,
    downtimeMs: choice?.downtimeMs ?? null,
    bytes: choice?.bytes ?? null,
  };
}
