// SPDX-License-Identifier: Apache-2.0
// How a migration ended. Exactly one of five kinds; a figure that was not measured is null.

export type OutcomeKind = 'completed' | 'source-running' | 'postcopy-paused' | 'lost' | 'unknown';

/** STOP on the source to RESUME on the destination, with the bound that two clocks leave. */
export interface StopToResume {
  readonly ms: number;
  /** The true value lies within `ms` +/- this; 0 where both ends share a clock. */
  readonly uncertaintyMs: number;
}

export interface Outcome {
  readonly kind: OutcomeKind;
  /** In words: why it ended so, and what to do where something is to be done. */
  readonly reason: string;
  /** A command that recovers or restores, ready to paste; null where none is needed. */
  readonly command: string | null;
  /** Interrupted by the user in pre-copy (exit 130). */
  readonly interrupted: boolean;
  /** Pre-copy was cancelled because its time was up (`--give-up`). */
  readonly givenUp: boolean;
  /** Wall clock of the migrate command (or of when a running migration was first seen), ms since 1970. */
  readonly startedAtMs: number;
  /** Before the migrate command, because the policy chose to begin later. */
  readonly waitedMs: number;
  /** From the migrate command to `completed`; null unless completed. */
  readonly tmtMs: number | null;
  readonly qemuTotalMs: number | null;
  readonly qemuDowntimeMs: number | null;
  readonly stopToResume: StopToResume | null;
  readonly transferredBytes: number | null;
  readonly rounds: number | null;
  readonly usedPostcopy: boolean;
  /** The downtime forecast that was current when the switchover was decided. */
  readonly forecastDowntimeMs: number | null;
  /** Settings that could not be put back, or were changed by somebody else and left alone. */
  readonly notRestored: readonly string[];
}
