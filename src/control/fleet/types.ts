// SPDX-License-Identifier: Apache-2.0
// What a gang tells while it is prepared and while it runs.

import type { Clock } from '../../common/index.ts';
import type { Action, GangPlan, GangSituation, HostTraffic, PlannedVm, VmCost } from '../../model/index.ts';
import type { VmPhase } from '../../decide/index.ts';
import type { Progress } from '../types.ts';

/** A plan with what it rests on. */
export interface PlannedGang {
  readonly policy: string;
  readonly situation: GangSituation;
  readonly plan: GangPlan;
  /** What each VM is forecast to cost as planned, with the link to itself; null: nothing is known of it. */
  readonly costs: ReadonlyMap<string, VmCost | null>;
  /** Of the link that is left for migrations, as one stream carries it. */
  readonly bandwidthBytesPerSec: number;
}

export interface MemberProgress {
  readonly name: string;
  readonly phase: VmPhase;
  readonly planned: PlannedVm | null;
  /** The newest of its migration; null before it. */
  readonly progress: Progress | null;
  /** How it ended, in a word; null before. */
  readonly ended: string | null;
}

export interface GangProgress {
  /** Since the gang's start. */
  readonly atMs: number;
  readonly members: readonly MemberProgress[];
  /** Null before the second sample. */
  readonly traffic: HostTraffic | null;
}

/** Told to whoever shows the gang; never steers it. */
export interface GangReporter {
  planned(gang: PlannedGang): void;
  progress(progress: GangProgress): void;
  decision(vm: string, action: Action, carriedOut: boolean): void;
  note(text: string): void;
}

export interface GangDeps {
  readonly clock?: Clock;
  readonly reporter: GangReporter;
  /** The slackwater program's own file, for the guardians; null: none (tests of other things). */
  readonly program: string | null;
  readonly directory?: string;
  readonly insecure: boolean;
  /** Where each VM's trace is written, as NAME.trace; null: nowhere. */
  readonly traceDirectory: string | null;
  /** No VM begins any more, those in pre-copy are cancelled. */
  readonly signal?: AbortSignal;
}
