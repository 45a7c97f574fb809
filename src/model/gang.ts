// SPDX-License-Identifier: Apache-2.0
// Many VMs that are to leave one host for another over one link: what is known of them, what they would cost, and a plan.

import type { Estimate } from './forecast.ts';
import type { HostTraffic, TrafficRates } from './traffic.ts';

export type Priority = 'high' | 'medium' | 'low';

export type Technique = 'precopy' | 'postcopy' | 'hybrid' | 'adaptive';

/** What the VMs and hosts that share the NIC with a migration are promised, on the wire. */
export interface WorkloadLimits {
  /** Their floor: they have that much, whatever migrates. */
  readonly lowerBytesPerSec: number;
  /** What a migration of medium priority leaves them, if they want it. */
  readonly upperBytesPerSec: number;
}

export interface GangVm {
  readonly name: string;
  readonly memoryBytes: number;
  readonly priority: Priority;
  /** From the start of the gang on; null: no hurry. */
  readonly deadlineMs: number | null;
  readonly mayPostcopy: boolean;
  /** For the policy `as-written`: groups follow one another. 0 where the plan file says nothing. */
  readonly group: number;
  /** Its own traffic through the NIC. */
  readonly traffic: TrafficRates;
}

/** What a migration is forecast to cost; null figures: it does not converge. */
export interface VmCost {
  readonly technique: Technique;
  /** What the link carries for it, as one stream has it. */
  readonly bandwidthBytesPerSec: number;
  readonly tmtMs: Estimate | null;
  readonly downtimeMs: Estimate | null;
  readonly bytes: Estimate | null;
}

/** What one end of the link has to do beside migrating. */
export interface HostSituation {
  readonly linkBytesPerSec: number;
  readonly traffic: Pick<HostTraffic, 'workload'>;
}

export interface GangSituation {
  /** Since the gang's start. */
  readonly nowMs: number;
  readonly source: HostSituation;
  readonly destination: HostSituation;
  readonly limits: WorkloadLimits;
  /** Those that are still to be migrated, in the order of the plan file. */
  readonly vms: readonly GangVm[];
}

/** A forecast of costs; pure: the same for the same question. Null: nothing is known of that VM. */
export type CostOf = (vm: string, technique: Technique, bandwidthBytesPerSec: number) => VmCost | null;

export interface PlannedVm {
  readonly name: string;
  readonly technique: Technique;
  /** Groups follow one another; within one, as `together` says. */
  readonly group: number;
  /** Starts with the VM before it in its group, instead of after its end. */
  readonly together: boolean;
  readonly reason: string;
}

export interface GangPlan {
  /** In the order in which they are started. */
  readonly vms: readonly PlannedVm[];
  /** How VMs that migrate at once share the link: evenly, or the earlier first and the others what it leaves. */
  readonly sharing: 'even' | 'in-order';
  /** In words, for the operator: what was found out, and what follows. */
  readonly findings: readonly string[];
}
