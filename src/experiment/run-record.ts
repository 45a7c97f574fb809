// SPDX-License-Identifier: Apache-2.0
// What one migration of an experiment gave: a line of `runs.jsonl`. Written by whoever carries experiments out, read by
// the reports. A figure that was not measured is null, never zero.

import type { OutcomeKind } from '../model/index.ts';

export const RUN_SCHEMA = 'slackwater/run@1';

/** What a client of the guest's application measured during one stretch of a run. */
export interface AppFigures {
  readonly requestsPerSec: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface RunRecord {
  readonly schema: typeof RUN_SCHEMA;
  /** A cell's run, one of the oracle's search, or a migration of an idle guest that measures the machine's own noise. */
  readonly kind: 'cell' | 'search' | 'control';
  /** Names of the experiment file. */
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  /** What the oracle's search picked for this run; null for every other policy. */
  readonly setting: string | null;
  /** From 0; with guest, link and policy it names the run. */
  readonly repeat: number;
  /** From 0; more than 0: an earlier attempt was disturbed by the machine or could not be carried out, and is kept too. */
  readonly attempt: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** How the migration ended; `failed`: the run itself could not be carried out, `reason` says why. */
  readonly outcome: OutcomeKind | 'failed';
  readonly reason: string;
  /** It was ended by the experiment's time cap. */
  readonly capped: boolean;
  /** Between the request (and the profile, where one was taken) and the migrate command, because the policy chose so; absent: 0. */
  readonly waitedMs?: number;
  /** From the migrate command to completion. */
  readonly tmtMs: number | null;
  /** Three views of the downtime: QEMU's word, the events STOP to RESUME, and the client's silence (upper and lower end). */
  readonly downtimeQemuMs: number | null;
  readonly downtimeStopToResumeMs: number | null;
  readonly downtimeGuestMs: number | null;
  readonly downtimeGuestAtLeastMs: number | null;
  readonly downtimeForecastMs: number | null;
  readonly transferredBytes: number | null;
  readonly rounds: number | null;
  readonly usedPostcopy: boolean;
  /** Memory that is not all zero at the start, and how long one TCP stream takes for it on the same link. */
  readonly floorBytes: number | null;
  readonly floorMs: number | null;
  /** Work of the guest per second before, during and after the migration; during / before is the slowdown. */
  readonly workPerSec: {
    readonly before: number | null;
    readonly during: number | null;
    readonly after: number | null;
  };
  /**
   * From the request until the guest was watched no more (some seconds after the end): how long it works, at its rate before, for
   * what it did not get done. Below zero where it was faster than before; absent in records from before it was kept.
   */
  readonly lostWorkMs?: number | null;
  /** Null for guests without an application under load. */
  readonly app: {
    readonly name: string;
    readonly before: AppFigures | null;
    readonly during: AppFigures | null;
    readonly after: AppFigures | null;
  } | null;
  /** Null where the guest could not be asked. */
  readonly coherent: boolean | null;
  readonly lostPages: number | null;
  readonly lostBlocks: number | null;
  /** What the machine did to the run: reasons in words, empty when undisturbed. */
  readonly disturbances: readonly string[];
  readonly stealRatio: number | null;
  readonly proberGapMs: number | null;
  /**
   * How far the migration's moments may be off on the client's clock, where the two are on different machines; absent where
   * they are on one. Work and figures before, during and after depend on it; silences do not.
   */
  readonly clientClockUncertaintyMs?: number;
  /** Relative to the result directory; null where the run did not come so far. */
  readonly files: {
    readonly trace: string | null;
    /** The guest's work and the client's probes over time, for figures: `RunSeries` as JSON. */
    readonly series: string | null;
    readonly logs: readonly string[];
  };
}

/** What happened over time in one run; times in ms since the migrate command, so those before it are negative. */
export interface RunSeries {
  /** Guest work per second, each over the 100 ms (or longer silence) before `atMs`. */
  readonly work: readonly { readonly atMs: number; readonly perSec: number }[];
  /** Silences of the guest as its client sees them. */
  readonly silences: readonly { readonly startMs: number; readonly endMs: number }[];
}
