// SPDX-License-Identifier: Apache-2.0
// Where a migration is heading: the dirtying curve, and what each choice would cost.

/** U(t) = hotBytes (1 - e^(-t/tauMs)) + coldBytesPerMs t: distinct bytes dirtied within a window of t ms. */
export interface DirtyCurve {
  readonly hotBytes: number;
  readonly tauMs: number;
  readonly coldBytesPerMs: number;
}

/** A predicted figure with its error band. */
export interface Estimate {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

/**
 * How busy a guest is over time, in steps that begin again after the last: 1 is as busy as its dirtying curve says. Within
 * a window of t ms at a pace of p it dirties what the curve gives for p t.
 */
export interface Pace {
  /** When the first step begins. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly values: readonly number[];
  /** Whether the guest was found to repeat itself (and the steps are one period), or the steps are merely what was seen. */
  readonly periodic: boolean;
}

/** What happens if one choice is taken. `tmtMs` counts from the start of the migration. */
export interface Prediction {
  /** Rounds of pre-copy still to go before the switchover; 0: now. */
  readonly rounds: number;
  readonly tmtMs: Estimate;
  /** STOP to RESUME. */
  readonly downtimeMs: Estimate;
  /** All bytes of the migration, those already sent included. */
  readonly bytes: Estimate;
  /** Dirty bytes at the switchover: sent while stopped (pre-copy) or missing at first (post-copy). */
  readonly dirtyAtSwitchBytes: number;
}

/** The fixed point of the pre-copy map at the present bandwidth: where rounds stop shrinking. */
export interface Plateau {
  readonly roundMs: number;
  readonly dirtyBytes: number;
}

export interface Forecast {
  readonly atMs: number;
  /** False until a bandwidth and at least one point of the dirtying curve are known; the rest is then null or empty. */
  readonly ready: boolean;
  readonly bandwidthBytesPerSec: number | null;
  readonly curve: DirtyCurve | null;
  /** Relative root-mean-square residual of the curve's fit, at least the floor set in forecast/. */
  readonly errorRatio: number;
  /** The longest window that a point of the curve was measured over; 0: none. Beyond it the curve is extrapolated. */
  readonly longestWindowMs: number;
  readonly plateau: Plateau | null;
  /** Null: the guest is taken to go on as it is. */
  readonly pace: Pace | null;
  /** Whether the same pages are dirty round after round, so that one more changes nothing; null where pages are not seen. */
  readonly workingSetConverged: boolean | null;
  /** Pre-copy switchover after k more rounds, k = 0 (now), 1, 2, ... */
  readonly precopy: readonly Prediction[];
  /** Post-copy after k more rounds. */
  readonly postcopy: readonly Prediction[];
  /** STOP to RESUME beyond the transfer of the dirty set: device state and the destination's load. */
  readonly downtimeOverheadMs: number;
}
