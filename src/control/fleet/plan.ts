// SPDX-License-Identifier: Apache-2.0
// What a gang of migrations is asked for with: the plan file as values.

import type { ContentionThresholds } from '../../decide/index.ts';
import type { Objective, Priority, Technique, WorkloadLimits } from '../../model/index.ts';
import type { Place } from '../../tc/index.ts';

export const GANG_SCHEMA = 'slackwater/gang@1';

/** One end of the link. */
export interface GangHost {
  readonly place: Place;
  readonly nic: string;
  /** What the NIC's link carries, on the wire. */
  readonly linkBytesPerSec: number;
  /** An address of this host that the other one reaches through the NIC: classifiers are proven with packets to it. Null: not. */
  readonly address: string | null;
}

export interface GangMember {
  readonly name: string;
  /** QMP monitors of both ends, and where the destination is to listen. */
  readonly source: string;
  readonly destination: string;
  readonly uri: string;
  /** The VM's TAP device on the source's host; null: its own traffic is not told apart. */
  readonly tap: string | null;
  /** For the policy `as-written`: groups follow one another, those of one migrate at once. Null: the first. */
  readonly group: number | null;
  readonly priority: Priority;
  /** `objective.deadlineMs` counts from the start of the gang. */
  readonly objective: Objective;
  /** By that technique, whatever the gang policy would take; null: as the policy takes. */
  readonly technique: Technique | null;
  /** What to do when its migration fails with the guest safe on the source. */
  readonly onFailure: 'leave' | 'retry';
  /** In pre-copy, give up after this long; null: never. */
  readonly giveUpMs: number | null;
}

export interface GangPlanFile {
  readonly source: GangHost;
  readonly destination: GangHost;
  readonly limits: WorkloadLimits;
  /** How what the workload is promised is found: our shares, or the traffic-aware paper's Algorithm 2. */
  readonly reservation: 'shares' | 'algorithm-2';
  /** Whether NICs are shaped, or QEMU's own limits do what they can. */
  readonly shaping: boolean;
  readonly policy: string;
  readonly thresholds: ContentionThresholds;
  readonly clustering: 'plain' | 'fuzzy';
  /** How long guests and traffic are watched before. */
  readonly sampleMs: number;
  /** Starts a destination: an argument vector in which {name} stands for the VM. Null: the destinations wait already. */
  readonly launch: readonly string[] | null;
  readonly members: readonly GangMember[];
}

/** Where a migration listens; null where that is not a TCP port. */
export function portOf(uri: string): number | null {
  const port = Number(/^tcp:.*:(\d+)$/.exec(uri)?.[1] ?? Number.NaN);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
}

/**
 * Of a link so much is shaped, so that what waits waits in our classes, where it has its turn, and not in the switch's queue behind
 * them.
 */
export const SHAPED_RATIO = 0.99;

/** What there is to share, on the wire: the slower end decides. */
export function shapedLink({ source, destination }: GangPlanFile): number {
  return SHAPED_RATIO * Math.min(source.linkBytesPerSec, destination.linkBytesPerSec);
}
