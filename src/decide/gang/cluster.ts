// SPDX-License-Identifier: Apache-2.0
// Which way a VM's traffic goes, which way the hosts' does, and how much of the link is taken: the first half of Algorithm 1 of
// the traffic-aware migration paper.

import type { GangSituation, GangVm, TrafficRates } from '../../model/index.ts';

export type TrafficDirection = 'inbound' | 'outbound';
export type Contention = 'low' | 'moderate' | 'high';

/** The hosts' own directions, source first: "in-out" is a source that mostly receives and a destination that mostly sends. */
export type Scenario = 'in-in' | 'in-out' | 'out-in' | 'out-out';

/** Shares of the link that the paper leaves open. */
export interface ContentionThresholds {
  readonly moderateFrom: number;
  readonly highFrom: number;
}

export const DEFAULT_THRESHOLDS: ContentionThresholds = { moderateFrom: 0.3, highFrom: 0.7 };

export function directionOf({ sentBytesPerSec, receivedBytesPerSec }: TrafficRates): TrafficDirection {
  return receivedBytesPerSec >= sentBytesPerSec ? 'inbound' : 'outbound';
}

export function scenarioOf({ source, destination }: GangSituation): Scenario {
  const word = (rates: TrafficRates) => (directionOf(rates) === 'inbound' ? 'in' : 'out');
  return `${word(source.traffic.workload)}-${word(destination.traffic.workload)}`;
}

/** How much of a NIC its workload takes in the fuller direction, at the end where that is more. */
export function contentionRatio({ source, destination }: GangSituation): number {
  return Math.max(
    ...[source, destination].map(({ linkBytesPerSec, traffic: { workload } }) =>
      linkBytesPerSec > 0
        ? Math.max(workload.sentBytesPerSec, workload.receivedBytesPerSec) / linkBytesPerSec
        : 1,
    ),
  );
}

export function contentionOf(
  situation: GangSituation,
  { moderateFrom, highFrom }: ContentionThresholds = DEFAULT_THRESHOLDS,
): Contention {
  const ratio = contentionRatio(situation);
  return ratio < moderateFrom ? 'low' : ratio < highFrom ? 'moderate' : 'high';
}

type Point = readonly [inbound: number, outbound: number];

/** Fuzziness of fuzzy c-means as it is nearly always chosen, with which a membership is a ratio of squared distances. */
const ITERATIONS = 50;

function distance2(a: Point, b: Point): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
}

/** How much a point belongs to the first of two centres, 0 to 1, with fuzziness 2. */
function membership(point: Point, [first, second]: readonly [Point, Point]): number {
  const [d1, d2] = [distance2(point, first), distance2(point, second)];
  return d1 + d2 === 0 ? 0.5 : d2 / (d1 + d2);
}

/**
 * Fuzzy c-means (Bezdek 1981, two clusters, fuzziness 2) on what the VMs receive and send, each over the most that any does; as
 * Cui 2020 clusters the traffic of VMs before they are migrated. Returns how much each VM is inbound, 0 to 1. The centres begin
 * at "only receives" and "only sends", so that the result does not hang on chance. VMs that all do nothing are neither.
 *
 * Receiving 100, 80, 0 and sending 0, 10, 90: memberships 1.00, 0.99, 0.00.
 */
export function fuzzyInbound(vms: readonly Pick<GangVm, 'name' | 'traffic'>[]): ReadonlyMap<string, number> {
  const most = Math.max(
    ...vms.flatMap(({ traffic }) => [traffic.receivedBytesPerSec, traffic.sentBytesPerSec]),
    0,
  );
  const points = vms.map(({ traffic }): Point =>
    most === 0 ? [0, 0] : [traffic.receivedBytesPerSec / most, traffic.sentBytesPerSec / most],
  );
  let centres: readonly [Point, Point] = [
    [1, 0],
    [0, 1],
  ];
  for (let i = 0; i < ITERATIONS; i++) {
    const shares = points.map((point) => membership(point, centres));
    const centre = (weights: readonly number[], fallback: Point): Point => {
      const sum = weights.reduce((total, weight) => total + weight ** 2, 0);
      if (sum === 0) return fallback;
      const mean = (axis: 0 | 1): number =>
        points.reduce((total, point, p) => total + (weights[p] ?? 0) ** 2 * point[axis], 0) / sum;
      return [mean(0), mean(1)];
    };
    centres = [
      centre(shares, centres[0]),
      centre(
        shares.map((share) => 1 - share),
        centres[1],
      ),
    ];
  }
  return new Map(vms.map(({ name }, i) => [name, membership(points[i] ?? [0, 0], centres)]));
}

/** Each VM's cluster; `fuzzy` by the larger membership, else by its own traffic alone. */
export function clusterOf(
  vms: readonly Pick<GangVm, 'name' | 'traffic'>[],
  rule: 'plain' | 'fuzzy',
): ReadonlyMap<string, TrafficDirection> {
  if (rule === 'plain') return new Map(vms.map(({ name, traffic }) => [name, directionOf(traffic)]));
  const inbound = fuzzyInbound(vms);
  return new Map([...inbound].map(([name, share]) => [name, share >= 0.5 ? 'inbound' : 'outbound']));
}
