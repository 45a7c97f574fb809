// SPDX-License-Identifier: Apache-2.0
// A traffic experiment: gangs of guests that migrate while others use the same NIC. What its file says, as values.

export const TRAFFIC_SCHEMA = 'slackwater/traffic@1';

/** A rate that steps: from each moment on, in ms since the start, on the wire. */
export interface RateStep {
  readonly fromMs: number;
  readonly bytesPerSec: number;
}

/** Who can send or receive beside the guests; `near-*` are VMs that stay, on either host. */
export const TRAFFIC_ENDS = ['near-src', 'near-dst', 'client'] as const;
export type TrafficEnd = (typeof TRAFFIC_ENDS)[number];

/** A guest that migrates. */
export interface TrafficVm {
  readonly name: string;
  readonly memoryBytes: number;
  /** The name of a workload in testbed/workloads. */
  readonly workload: string;
  readonly priority: 'high' | 'medium' | 'low';
  readonly deadlineMs: number | null;
  /** Of its own, to and from the client, on the wire. */
  readonly sendsBytesPerSec: number;
  readonly receivesBytesPerSec: number;
}

/** Constant-rate UDP between two that stay. Times count from the start of the gang's command. */
export interface TrafficFlow {
  readonly from: TrafficEnd;
  readonly to: TrafficEnd;
  readonly steps: readonly RateStep[];
}

export interface TrafficCase {
  readonly name: string;
  readonly vms: readonly TrafficVm[];
  readonly flows: readonly TrafficFlow[];
  /** Whose answers the client times, a request a millisecond; null: nobody's. */
  readonly probed: 'near-src' | 'near-dst' | null;
}

/** A way of carrying a gang out. */
export interface TrafficPolicy {
  readonly name: string;
  /** Keys of the plan file: policy, workloads, reservation, shaping. */
  readonly plan: Readonly<Record<string, unknown>>;
  /** All VMs have that priority; null: each its own. */
  readonly priority: 'high' | 'medium' | 'low' | null;
  /** All VMs go by that technique; null: as the gang policy takes. */
  readonly technique: 'precopy' | 'postcopy' | 'hybrid' | 'adaptive' | null;
  /** By the order of that rank (1: the best) of all orders and even shares searched in the model; null: not so. */
  readonly oracleRank: number | null;
}

/** So many of the best orders in the model are carried out. */
export const ORACLE_ORDERS = 3;

export interface TrafficExperiment {
  readonly name: string;
  readonly title: string;
  readonly about: string | null;
  readonly link: string;
  readonly repeats: number;
  readonly seed: number;
  /** How long guests and traffic run before the gang. */
  readonly settleMs: number;
  /** The floor that is drawn into figures and held against what arrives; null: none. */
  readonly floorBytesPerSec: number | null;
  readonly cases: readonly TrafficCase[];
  readonly policies: readonly TrafficPolicy[];
}

export interface TrafficRun {
  readonly key: string;
  readonly case: TrafficCase;
  readonly policy: TrafficPolicy;
  readonly repeat: number;
}

/** All runs, case by case, the policies' order turning round with each repeat. */
export function expandTraffic({ cases, policies, repeats }: TrafficExperiment): TrafficRun[] {
  return cases.flatMap((each) =>
    Array.from({ length: repeats }, (_, repeat) => repeat).flatMap((repeat) => {
      const inOrder = repeat % 2 === 0 ? policies : [...policies].reverse();
      return inOrder.map((policy) => ({
        key: `${each.name}/${policy.name}/${repeat}`,
        case: each,
        policy,
        repeat,
      }));
    }),
  );
}
