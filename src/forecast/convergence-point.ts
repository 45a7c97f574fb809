// SPDX-License-Identifier: Apache-2.0
// When pre-copy should end. Static guest: after the round from which on rounds do not shrink any more. Dynamic guest: at the
// earliest moment within its known course at which what is dirty fits into the maximum downtime; where there is none, never.
// docs/forecasts/convergence-point.md

import type { Forecast } from '../model/index.ts';

export interface ConvergencePoint {
  readonly kind: 'static' | 'dynamic';
  /** Rounds from now. */
  readonly rounds: number;
  /** When the switchover would begin, and how long the guest would stand still. */
  readonly atMs: number;
  readonly downtimeMs: number;
  /** Whether that keeps the limit, at the cautious end of the error band. False: pre-copy never does. */
  readonly fits: boolean;
}

/** A round that leaves more than this share of the one before does not shrink. */
const SHRINKS_TO = 0.98;

/** Null while the forecast is not ready. */
export function convergencePointOf(forecast: Forecast, maxDowntimeMs: number): ConvergencePoint | null {
  const { precopy, pace } = forecast;
  const kind = pace?.periodic === true ? 'dynamic' : 'static';
  const fitting = precopy.find(({ downtimeMs }) => downtimeMs.high <= maxDowntimeMs);
  const last = precopy.findIndex((choice, i) => {
    const next = precopy[i + 1];
    return next === undefined || next.dirtyAtSwitchBytes > choice.dirtyAtSwitchBytes * SHRINKS_TO;
  });
  const lowest = precopy.reduce(
    (best, each) => (each.downtimeMs.expected < best.downtimeMs.expected ? each : best),
    precopy[0] ?? NOTHING,
  );
  const chosen = fitting ?? (kind === 'static' ? precopy[last] : lowest);
  if (chosen === undefined || chosen === NOTHING) return null;
  return {
    kind,
    rounds: chosen.rounds,
    atMs: chosen.tmtMs.expected - chosen.downtimeMs.expected,
    downtimeMs: chosen.downtimeMs.expected,
    fits: fitting !== undefined,
  };
}

const NO_ESTIMATE = { expected: Infinity, low: Infinity, high: Infinity };
const NOTHING = {
  rounds: 0,
  tmtMs: NO_ESTIMATE,
  downtimeMs: NO_ESTIMATE,
  bytes: NO_ESTIMATE,
  dirtyAtSwitchBytes: Infinity,
};
