// SPDX-License-Identifier: Apache-2.0
// What a migration is asked for with, and what it tells while it runs.

import type { Action, Forecast, Objective, Observation, Policy } from '../model/index.ts';
import type { BandwidthLimit } from './bandwidth-limit.ts';

/** enforce: acts. advise: acts on what the operator confirms. observe: carries out nothing that a policy wants. */
export type Mode = 'enforce' | 'advise' | 'observe';

/** Told to whoever shows the migration; never steers it. */
export interface Reporter {
  progress(progress: Progress): void;
  decision(action: Action, carriedOut: boolean): void;
  note(text: string): void;
  /** In advise mode: resolves true when the operator wants the action. */
  confirm(action: Action): Promise<boolean>;
}

export interface Progress {
  readonly observation: Observation;
  readonly forecast: Forecast;
  /** The newest decision's words. */
  readonly intention: string;
}

export interface ControlOptions {
  readonly objective: Objective;
  readonly policy: Policy;
  readonly mode: Mode;
  readonly tracePath: string | null;
  readonly insecure: boolean;
  /** Post-copy without progress for this long, with pages missing, is paused on both ends. */
  readonly postcopyStallMs: number;
  /** What the link carries, where the operator knows it. */
  readonly linkBytesPerSec: number | null;
  /** In pre-copy, give up and cancel after this long; null: never. Whatever the policy. */
  readonly giveUpMs: number | null;
  /** What the migration may have of the link, as told while it runs; absent: nobody says. */
  readonly bandwidthLimit?: BandwidthLimit;
}

export interface MigrateOptions extends ControlOptions {
  readonly source: string;
  readonly destination: string;
  readonly uri: string;
  readonly bandwidthBytesPerSec: number | null;
  readonly tlsCreds: string | null;
  readonly tlsHostname: string | null;
  readonly quitSource: boolean;
  /** How long the guest is watched before the migration, so that its course is known; 0: not at all. */
  readonly profileMs: number;
}

export interface AttachOptions extends ControlOptions {
  readonly source: string;
  readonly destination: string | null;
  /** End after the first migration instead of waiting for the next. */
  readonly once: boolean;
}

export const silentReporter: Reporter = {
  progress: () => undefined,
  decision: () => undefined,
  note: () => undefined,
  confirm: () => Promise.resolve(false),
};
