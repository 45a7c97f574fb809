// SPDX-License-Identifier: Apache-2.0
// How a gang ended: every VM's outcome, and the figures of the whole as the traffic-aware paper defines them.

import type { Outcome, PlannedVm, Priority } from '../../model/index.ts';

export interface MemberOutcome {
  readonly name: string;
  readonly priority: Priority;
  /** As planned when it began; null where it never did. */
  readonly planned: PlannedVm | null;
  /** Since the gang's start; null where it never began. */
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly deadlineMs: number | null;
  readonly outcome: Outcome;
  /** Migrations tried. */
  readonly attempts: number;
}

export interface GangOutcome {
  readonly policy: string;
  readonly members: readonly MemberOutcome[];
  /** From the first begin to the last end: the paper's total migration time of a serial and of a parallel gang alike. */
  readonly tmtMs: number | null;
  /** STOP to RESUME of all VMs: their sum is the paper's downtime of a serial gang, the longest that of a parallel one. */
  readonly downtimeSumMs: number | null;
  readonly downtimeMaxMs: number | null;
  /** Settings of the network that could not be put back, in words. */
  readonly notRestored: readonly string[];
}

export function gangOutcome(
  policy: string,
  members: readonly MemberOutcome[],
  notRestored: readonly string[],
): GangOutcome {
  const begun = members.flatMap(({ startMs }) => startMs ?? []);
  const ended = members.flatMap(({ endMs }) => endMs ?? []);
  const downtimes = members.flatMap(({ outcome }) => outcome.stopToResume?.ms ?? []);
  return {
    policy,
    members,
    tmtMs: begun.length === 0 || ended.length === 0 ? null : Math.max(...ended) - Math.min(...begun),
    downtimeSumMs: downtimes.length === 0 ? null : downtimes.reduce((sum, ms) => sum + ms, 0),
    downtimeMaxMs: downtimes.length === 0 ? null : Math.max(...downtimes),
    notRestored,
  };
}
