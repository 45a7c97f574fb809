// SPDX-License-Identifier: Apache-2.0
// Xen's rules for when to stop the guest and send the rest.
// - xen2005: Clark et al., "Live Migration of Virtual Machines" (NSDI 2005), by the Linux save of the Xen of that time (read
//   in source): stop rules and the rate ramp. What a QMP client cannot do is left out: skipping pages that are dirtied again,
//   the pseudo-random order, bursts of 100 KiB.
// - xen-libxc: the later tool stack's rule alone (general knowledge and an excerpt).
//
// Xen suspends the guest whatever the estimate says, and sends the rest at the rate that holds: `pause-guest` does the same
// to QEMU, whose own switchover is held. The operator's maximum downtime is not looked at, and xen2005 sets the rate.

import { formatBytes } from '../../common/index.ts';
import type { Action } from '../../model/index.ts';
import { holdSwitchover, pauseGuest, setBandwidth } from './actions.ts';
import { dirtyBytes, type Peer, peer, type Rules, type View } from './fold.ts';

const PAGE_BYTES = 4096;
const FEW_PAGES = 50;

const START_MBIT = 100;
const STEP_MBIT = 50;
const MAX_MBIT = 500;
const MAX_ROUNDS = 29;
const MAX_FACTOR = 3;
const BYTES_PER_SEC_OF_MBIT = 125_000;

const MAX_ROUNDS_LIBXC = 5;

interface Memory2005 {
  readonly rateMbit: number;
  /** Of the round that is running: all that was dirty when it began, for QEMU skips nothing. */
  readonly sendingBytes: number;
  readonly sentLastBytes: number;
  readonly sentBytes: number;
  readonly roundStartMs: number;
  readonly stopped: boolean;
}

/** Why the round that has just ended was the last before the guest is stopped; null: it was not. */
function lastRoundBecause(memory: Memory2005, rounds: number, memoryBytes: number): string | null {
  const { sendingBytes, sentLastBytes, rateMbit } = memory;
  if (sendingBytes > sentLastBytes && rateMbit === MAX_MBIT) {
    return `the round sent ${formatBytes(sendingBytes)}, more than the one before, at the highest rate`;
  }
  if (rounds >= MAX_ROUNDS) return `${rounds} rounds are done`;
  if (sendingBytes < FEW_PAGES * PAGE_BYTES) return `the round had fewer than ${FEW_PAGES} pages to send`;
  if (memory.sentBytes + sendingBytes > MAX_FACTOR * memoryBytes) {
    return `more than ${MAX_FACTOR} times the memory has been sent`;
  }
  return null;
}

function setRate(rateMbit: number, why: string): Action {
  return setBandwidth(rateMbit * BYTES_PER_SEC_OF_MBIT, why, { rateMbit });
}

/**
 * Where the guest dirties faster than the rate, the rate becomes dirtying + 50 Mbit/s, at most 500. Worked example: 64 MiB
 * dirtied within a round of 2 s are 268 Mbit/s: beyond 100, so 318 Mbit/s.
 */
function nextRate(
  rateMbit: number,
  dirtied: number,
  tookMs: number,
): { rateMbit: number; dirtyMbit: number } {
  const dirtyMbit = tookMs <= 0 ? 0 : Math.trunc((dirtied * 8) / 1e6 / (tookMs / 1000));
  return { dirtyMbit, rateMbit: dirtyMbit > rateMbit ? Math.min(MAX_MBIT, dirtyMbit + STEP_MBIT) : rateMbit };
}

function roundOf2005(memory: Memory2005, { seen, context }: View) {
  if (memory.stopped) return { memory };
  const because = lastRoundBecause(memory, seen.round - 1, context.memoryBytes);
  const bytes = dirtyBytes(seen);
  if (because !== null) {
    const numbers = { rounds: seen.round - 1, remainingBytes: bytes };
    return { memory: { ...memory, stopped: true }, actions: [pauseGuest(because, numbers)] };
  }
  const tookMs = seen.endedRoundMs ?? seen.atMs - memory.roundStartMs;
  const { rateMbit, dirtyMbit } = nextRate(memory.rateMbit, bytes, tookMs);
  const next: Memory2005 = {
    ...memory,
    rateMbit,
    sendingBytes: bytes,
    sentLastBytes: memory.sendingBytes,
    sentBytes: memory.sentBytes + memory.sendingBytes,
    roundStartMs: seen.atMs,
  };
  if (rateMbit === memory.rateMbit) return { memory: next };
  return { memory: next, actions: [setRate(rateMbit, `the guest dirties ${dirtyMbit} Mbit/s`)] };
}

const xen2005Rules: Rules<Memory2005> = {
  capabilities: [],
  begin: ({ memoryBytes }) => ({
    memory: {
      rateMbit: START_MBIT,
      sendingBytes: memoryBytes,
      sentLastBytes: memoryBytes,
      sentBytes: 0,
      roundStartMs: 0,
      stopped: false,
    },
    actions: [holdSwitchover(), setRate(START_MBIT, 'where the ramp starts')],
  }),
  onRound: roundOf2005,
};

const libxcRules: Rules<{ readonly stopped: boolean }> = {
  capabilities: [],
  begin: () => ({ memory: { stopped: false }, actions: [holdSwitchover()] }),
  onRound: (memory, { seen }) => {
    const bytes = dirtyBytes(seen);
    const rounds = seen.round - 1;
    const few = bytes < FEW_PAGES * PAGE_BYTES;
    if (memory.stopped || (!few && rounds < MAX_ROUNDS_LIBXC)) return { memory };
    const because = few ? `fewer than ${FEW_PAGES} pages are dirty` : `${rounds} rounds are done`;
    return {
      memory: { stopped: true },
      actions: [pauseGuest(because, { rounds, remainingBytes: bytes })],
    };
  },
};

export const xenPeers: readonly Peer[] = [
  peer('xen2005', false, xen2005Rules),
  peer('xen-libxc', false, libxcRules),
];
