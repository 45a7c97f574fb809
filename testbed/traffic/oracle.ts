// SPDX-License-Identifier: Apache-2.0
// The orders that gang policies are held against: the best of all in the model, which knows what each guest is going to write.

import {
  tcpGoodputBytesPerSec,
  type TrafficCase,
  type TrafficExperiment,
  type TrafficPolicy,
} from '../../src/experiment/index.ts';
import { guestOfPattern, rankGangOrders, testGuestZeroBytes } from '../../src/simulate/index.ts';
import { parseLink } from '../index.ts';
import { readWorkload, resolveWorkload } from '../workload/index.ts';

const MIB = 1024 * 1024;
/** As `slackwater gang` has it where a plan says nothing. */
const MAX_DOWNTIME_MS = 300;
/** From the moment at which deadlines begin to the first migration: connections are made, settings taken down. Chosen. */
const PREPARING_MS = 500;

/** What of the source's link others want at most at any moment, the guests' own sends included. */
function offerBytesPerSec({ flows, vms }: TrafficCase): number {
  const ofFlows = flows
    .filter(({ from }) => from === 'near-src')
    .map(({ steps }) => Math.max(...steps.map(({ bytesPerSec }) => bytesPerSec)));
  const ofGuests = vms.map(({ sendsBytesPerSec }) => sendsBytesPerSec);
  return [...ofFlows, ...ofGuests].reduce((sum, each) => sum + each, 0);
}

/** Each VM's group in the order of that rank; the last one where there are fewer. */
function oracleGroups(
  { link, floorBytesPerSec }: TrafficExperiment,
  each: TrafficCase,
  rank: number,
): ReadonlyMap<string, number> {
  const linkBytesPerSec = parseLink(link).rateBytesPerSec;
  const leftRatio = 1 - Math.max(floorBytesPerSec ?? 0, offerBytesPerSec(each)) / linkBytesPerSec;
  const ranked = rankGangOrders(
    each.vms.map(({ name, priority, deadlineMs, workload, memoryBytes }) => {
      const { pattern } = resolveWorkload(readWorkload(workload), Math.round(memoryBytes / MIB)).guest;
      return {
        name,
        priority,
        deadlineMs: deadlineMs === null ? null : Math.max(0, deadlineMs - PREPARING_MS),
        maxDowntimeMs: MAX_DOWNTIME_MS,
        guest: guestOfPattern(memoryBytes, testGuestZeroBytes(memoryBytes), pattern),
      };
    }),
    tcpGoodputBytesPerSec(linkBytesPerSec) * leftRatio,
  );
  const { groups } = ranked[rank - 1] ?? ranked.at(-1) ?? { groups: [] };
  return new Map(groups.flatMap((names, group) => names.map((name) => [name, group] as const)));
}

/** The plan file's key of a VM, where the policy is the oracle's. */
export function orderedBy(
  experiment: TrafficExperiment,
  each: TrafficCase,
  { oracleRank }: TrafficPolicy,
): (vm: string) => Readonly<Record<string, string>> {
  if (oracleRank === null) return () => ({});
  const groups = oracleGroups(experiment, each, oracleRank);
  return (vm) => ({ group: `${groups.get(vm) ?? 0}` });
}
