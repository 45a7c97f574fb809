// SPDX-License-Identifier: Apache-2.0
// guestperf, QEMU's own performance test (tests/migration-stress, read in source), in two of its scenarios: pause the guest or go
// post-copy once dirty-sync-count has reached 5. It gives up after 30 rounds or 300 s.
//
// Left out: multifd, compression and throttling scenarios, and its bandwidth of 125,000 MiB/s (the operator's stands). It does
// not enable preempt, and neither does this. Its downtime of 500 ms stands, not the operator's.

import { formatMs } from '../../common/index.ts';
import type { Action, PolicyContext } from '../../model/index.ts';
import { cancel, pauseGuest, setDowntime, startPostcopy, withoutPostcopy } from './actions.ts';
import { type Peer, peer, type Rules } from './fold.ts';

const POLL_MS = 50;
const DOWNTIME_MS = 500;
const MAX_ROUNDS = 30;
const MAX_MS = 300_000;

interface Memory {
  readonly done: boolean;
}

type Way = 'pause' | 'postcopy';

function atRound(way: Way, round: number, { postcopyReady }: PolicyContext): Action {
  const text = `round ${round} has begun`;
  if (way === 'pause') return pauseGuest(text, { round });
  return postcopyReady ? startPostcopy(text, { round }) : withoutPostcopy();
}

function guestperfRules(way: Way, fromRound: number): Rules<Memory> {
  return {
    capabilities: way === 'postcopy' ? ['postcopy-ram'] : [],
    pollMs: POLL_MS,
    begin: () => ({
      memory: { done: false },
      actions: [setDowntime(DOWNTIME_MS, 'the downtime of all its scenarios')],
    }),
    onPoll: (memory, { seen, nowMs, timeScale, context }) => {
      const { round } = seen;
      if (round > MAX_ROUNDS)
        return { memory, actions: [cancel(`${MAX_ROUNDS} rounds are over`, { round })] };
      if (nowMs > MAX_MS) {
        const maxMs = MAX_MS * timeScale;
        return { memory, actions: [cancel(`not complete after ${formatMs(maxMs)}`, { maxMs })] };
      }
      if (memory.done || round < fromRound) return { memory };
      return { memory: { done: true }, actions: [atRound(way, round, context)] };
    },
  };
}

export const guestperfPeers: readonly Peer[] = [
  peer('guestperf-pause-5', true, guestperfRules('pause', 5)),
  peer('guestperf-postcopy-5', true, guestperfRules('postcopy', 5)),
];
