// SPDX-License-Identifier: Apache-2.0
// Gangs in the model: every order of VMs over one link, one after the other or several at once with even shares, searched
// through. It knows the guests as they are, so that what a gang policy finds by forecasts can be held against it.

import { UsageError } from '../common/index.ts';
import { compareSchedules, policyByName, type Scheduled } from '../decide/index.ts';
import type { Priority } from '../model/index.ts';
import { modelContext } from './context.ts';
import type { SimulatedGuest } from './guest.ts';
import { simulateMigration } from './migration.ts';

export interface SimulatedGangVm {
  readonly name: string;
  readonly priority: Priority;
  /** From the begin of the first migration on; null: no hurry. */
  readonly deadlineMs: number | null;
  readonly maxDowntimeMs: number;
  readonly guest: SimulatedGuest;
}

/** Groups follow one another; those of one migrate at once, with even shares of the link. */
export type GangOrder = readonly (readonly string[])[];

export interface RankedOrder {
  readonly groups: GangOrder;
  /** When each VM is over, in the order of the groups. */
  readonly schedule: readonly Scheduled[];
}

/** So many VMs have 4683 orders. */
const MOST_SEARCHED_VMS = 6;

/** Less of a migration than this is the rounding of its shares. */
const OVER_RATIO = 1e-9;

/** All ways of putting items into groups, and groups into an order: 1, 3, 13, 75 for one to four of them. */
function* orderedGroups<T>(items: readonly T[]): Generator<readonly (readonly T[])[]> {
  if (items.length === 0) {
    yield [];
    return;
  }
  for (let chosen = 1; chosen < 2 ** items.length; chosen++) {
    const isFirst = (_: T, i: number): boolean => (chosen & (1 << i)) !== 0;
    const rest = items.filter((item, i) => !isFirst(item, i));
    for (const groups of orderedGroups(rest)) yield [items.filter(isFirst), ...groups];
  }
}

/** The model is sure of its lengths: what is cautious is what is expected. */
function over({ name, priority, deadlineMs }: SimulatedGangVm, endMs: number, lengthMs: number): Scheduled {
  return {
    job: { name, priority, deadlineMs, lengthMs, highLengthMs: lengthMs },
    endMs,
    highEndMs: endMs,
    late: deadlineMs !== null && endMs > deadlineMs,
  };
}

/**
 * When each is over if migrations progress evenly: one that takes `lengthMs` with its share of the link has gone on by t / lengthMs
 * after t. Two VMs that take 2 and 6 s with half of the link, 1 and 3 s with all of it: at once the first is over after 2 s, the
 * second, of which two thirds are left, after 4.
 */
function endsOf(
  groups: readonly (readonly SimulatedGangVm[])[],
  lengthMs: (vm: SimulatedGangVm, atOnce: number) => number,
): Scheduled[] {
  const schedule: Scheduled[] = [];
  let nowMs = 0;
  for (const group of groups) {
    let open = group.map((vm) => ({ vm, leftRatio: 1 }));
    while (open.length > 0) {
      const atOnce = open.length;
      const passedMs = Math.min(...open.map(({ vm, leftRatio }) => leftRatio * lengthMs(vm, atOnce)));
      nowMs += passedMs;
      const after = open.map(({ vm, leftRatio }) => ({
        vm,
        leftRatio: leftRatio - passedMs / lengthMs(vm, atOnce),
      }));
      open = after.filter(({ leftRatio }) => leftRatio > OVER_RATIO);
      for (const { vm, leftRatio } of after) {
        if (leftRatio <= OVER_RATIO) schedule.push(over(vm, nowMs, lengthMs(vm, 1)));
      }
    }
  }
  return schedule;
}

/**
 * All orders, best first: fewest late, then least weighted completion. `bandwidthBytesPerSec`: what the link's other traffic
 * leaves, as streams carry it. Each VM goes by the adaptive policy.
 * @throws UsageError for too many VMs
 */
export function rankGangOrders(vms: readonly SimulatedGangVm[], bandwidthBytesPerSec: number): RankedOrder[] {
  if (vms.length > MOST_SEARCHED_VMS) {
    throw new UsageError(
      `expected at most ${MOST_SEARCHED_VMS} VMs whose orders are searched, got ${vms.length}`,
    );
  }
  const known = new Map<string, number>();
  const lengthMs = (vm: SimulatedGangVm, atOnce: number): number => {
    const key = `${vm.name} ${atOnce}`;
    const length = known.get(key) ?? lengthAt(vm, bandwidthBytesPerSec / atOnce);
    known.set(key, length);
    return length;
  };
  return [...orderedGroups(vms)]
    .map((groups) => ({
      groups: groups.map((group) => group.map(({ name }) => name)),
      schedule: endsOf(groups, lengthMs),
    }))
    .sort((a, b) => compareSchedules(a.schedule, b.schedule));
}

function lengthAt({ name, guest, maxDowntimeMs }: SimulatedGangVm, linkBytesPerSec: number): number {
  const policy = policyByName('adaptive');
  if (policy === undefined) throw new Error('there is no policy adaptive');
  const objective = { maxDowntimeMs, allowDowntimeMs: null, deadlineMs: null, postcopy: 'allowed' } as const;
  const { memoryBytes } = guest;
  const context = modelContext({ objective, memoryBytes, linkBytesPerSec, maxBandwidthBytesPerSec: 0 });
  const { tmtMs, reason } = simulateMigration({ policy, context, guest, linkBytesPerSec });
  if (tmtMs === null) throw new Error(`in the model ${name} does not complete: ${reason}`);
  return tmtMs;
}
