// SPDX-License-Identifier: Apache-2.0
// oVirt: VDSM's monitor with the Engine's convergence schedules (VDSM fd4b0df of 2026, read in source). Every 10 s it looks
// whether a new round has begun and takes at most one item of the schedule, so that a fast-iterating guest is given up
// about a minute after its first full round, whatever its size.
//
// Left out: retries after an abort and the 21,600 s limit of the destination (one migration is one attempt here), the
// bandwidth split between VMs, the "stalling" log line, which changes nothing. vdsm-suspend's compression is QEMU's xbzrle
// with QEMU's own cache size. The operator's maximum downtime is not looked at: the schedules bring their own.

import type { Action, PolicyCapability } from '../../model/index.ts';
import { cancel, setDowntime, startPostcopy, withoutPostcopy } from './actions.ts';
import { LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type View } from './fold.ts';

const POLL_MS = 10_000;

/** A limit that every new round exceeds: the items that come last. */
const AT_THE_NEXT_ROUND = -1;

interface Item {
  /** Rounds since the first poll that must be exceeded. */
  readonly limit: number;
  readonly act: number | 'postcopy' | 'abort';
}

interface Schedule {
  readonly id: string;
  readonly initialMs: number;
  /** A number is a downtime-limit in ms. */
  readonly items: readonly Item[];
  readonly capabilities: readonly PolicyCapability[];
}

/**
 * VDSM's exponential downtimes: with offset = d/steps and base = (d - offset)^(1/(steps - 1)), step k is
 * int(offset + base^k). Worked example, d = 500 ms in 5 steps: offset 100, base 4.472: 101, 104, 120, 189, 500 ms.
 */
export function exponentialDowntimesMs(downtimeMs: number, steps: number): number[] {
  if (steps <= 1) return [downtimeMs];
  const offset = downtimeMs / steps;
  const base = (downtimeMs - offset) ** (1 / (steps - 1));
  return Array.from({ length: steps }, (_, step) => Math.trunc(offset + base ** step));
}

const TO_500_MS: readonly Item[] = [
  { limit: 1, act: 150 },
  { limit: 2, act: 200 },
  { limit: 3, act: 300 },
  { limit: 4, act: 400 },
  { limit: 6, act: 500 },
];

const ABORT: Item = { limit: AT_THE_NEXT_ROUND, act: 'abort' };

function legacySchedule(): Schedule {
  const [initialMs = 500, ...later] = exponentialDowntimesMs(500, 5);
  const items = later.map((act, index): Item => ({ limit: index + 1, act }));
  return {
    id: 'vdsm-legacy',
    initialMs,
    items: [...items, { limit: 42, act: 'abort' }],
    capabilities: ['auto-converge'],
  };
}

const SCHEDULES: readonly Schedule[] = [
  {
    id: 'vdsm-minimal-downtime',
    initialMs: 100,
    items: [...TO_500_MS, ABORT],
    capabilities: ['auto-converge'],
  },
  {
    id: 'vdsm-suspend',
    initialMs: 100,
    items: [...TO_500_MS, { limit: AT_THE_NEXT_ROUND, act: 5000 }, ABORT],
    capabilities: ['auto-converge', 'xbzrle'],
  },
  {
    id: 'vdsm-postcopy',
    initialMs: 100,
    items: [
      { limit: 1, act: 150 },
      { limit: 2, act: 200 },
      { limit: AT_THE_NEXT_ROUND, act: 'postcopy' },
      ABORT,
    ],
    capabilities: ['auto-converge', ...LIBVIRT_POSTCOPY],
  },
  legacySchedule(),
];

interface Memory {
  /** dirty-sync-count at the first poll; null before it. */
  readonly firstRound: number | null;
  readonly lastRound: number;
  /** Items already taken. */
  readonly taken: number;
}

function carryOut({ act }: Item, rounds: number, view: View): Action {
  const since = `${rounds} rounds since the first poll`;
  if (act === 'abort') return cancel(`${since}, the schedule is at its end`, { rounds });
  // Where the switch fails, VDSM lets the next item follow with a later round.
  if (act === 'postcopy')
    return view.context.postcopyReady ? startPostcopy(since, { rounds }) : withoutPostcopy();
  return setDowntime(act, since, { rounds });
}

function vdsmRules({ initialMs, items, capabilities }: Schedule): Rules<Memory> {
  return {
    capabilities,
    pollMs: POLL_MS,
    begin: () => ({
      memory: { firstRound: null, lastRound: 0, taken: 0 },
      actions: [setDowntime(initialMs, "the schedule's first step")],
    }),
    onPoll: (memory, view) => {
      const { round } = view.seen;
      if (memory.firstRound === null) return { memory: { ...memory, firstRound: round, lastRound: round } };
      if (round <= memory.lastRound) return { memory };
      const rounds = round - memory.firstRound;
      const head = items[memory.taken];
      const moved = { ...memory, lastRound: round };
      if (head === undefined || rounds <= head.limit) return { memory: moved };
      return { memory: { ...moved, taken: memory.taken + 1 }, actions: [carryOut(head, rounds, view)] };
    },
  };
}

export const vdsmPeers: readonly Peer[] = SCHEDULES.map((schedule) =>
  peer(schedule.id, true, vdsmRules(schedule)),
);
