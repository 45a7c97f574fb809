// SPDX-License-Identifier: Apache-2.0
// What a simulated migration is asked for with, and what comes of it.

import type { ForecastState } from '../forecast/index.ts';
import type { Action, MigrationStatus, Policy, PolicyContext, PolicyStep } from '../model/index.ts';
import type { ModelCosts } from './costs.ts';
import type { SimulatedGuest } from './guest.ts';
import type { MigrationStart } from './state.ts';

export interface SimulationOptions {
  readonly policy: Policy;
  readonly context: PolicyContext;
  readonly guest: SimulatedGuest;
  /** What one TCP stream carries. */
  readonly linkBytesPerSec: number;
  /** Pre-copy is given up after this long; absent: after an hour. */
  readonly capMs?: number;
  readonly costs?: ModelCosts;
  /** A migration that is under way, with what its policy and its forecast know by then; absent: from the beginning. */
  readonly from?: MigrationStart & {
    readonly policyStep: Pick<PolicyStep<unknown>, 'state' | 'wakeAtMs'>;
    readonly forecasting: ForecastState;
    readonly status: MigrationStatus;
    /** The policy has asked for post-copy, and QEMU has yet to switch. */
    readonly switching: boolean;
  };
}

export interface SimulatedAction {
  readonly atMs: number;
  readonly action: Action;
}

export interface SimulatedRun {
  readonly outcome: 'completed' | 'source-running';
  readonly reason: string;
  /** Given up at the cap. */
  readonly capped: boolean;
  readonly waitedMs: number;
  /** Null unless completed; as are the downtimes. */
  readonly tmtMs: number | null;
  readonly stopToResumeMs: number | null;
  /** As a client of the guest sees it. */
  readonly silenceMs: number | null;
  readonly transferredBytes: number;
  readonly rounds: number;
  readonly usedPostcopy: boolean;
  /** Work that the guest loses, as time: stopped, slowed down, or waiting for pages. */
  readonly lostWorkMs: number;
  readonly actions: readonly SimulatedAction[];
}
