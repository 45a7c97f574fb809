// SPDX-License-Identifier: Apache-2.0
// Proxmox VE (qemu-server e6352be, v9.2.6 of 2026, read in source): counts how often the remaining memory has risen between
// two polls, and doubles the downtime after every sixth rise, for ever. Never aborts and never goes post-copy.
//
// Left out: dirty bitmaps (disks), its max-bandwidth of 16 GiB/s (the operator's stands), and the end after more than five
// failed queries in a row, which the controller sees to. The operator's maximum downtime is not looked at.

import { formatMs } from '../../common/index.ts';
import { MAX_DOWNTIME_LIMIT_MS, setDowntime } from './actions.ts';
import { type Peer, peer, type Rules } from './fold.ts';
import { enableXbzrle } from './xbzrle.ts';

const POLL_MS = 1000;
const FAST_POLL_MS = 100;
const INITIAL_MS = 100;
const RISES = 5;

interface Memory {
  readonly downtimeMs: number;
  readonly polls: number;
  readonly transferredBytes: number;
  readonly remainingBytes: number;
  readonly rises: number;
  readonly pollMs: number;
}

const proxmoxRules: Rules<Memory> = {
  capabilities: ['auto-converge', 'xbzrle'],
  pollMs: POLL_MS,
  begin: (context) => ({
    memory: {
      downtimeMs: INITIAL_MS,
      polls: 0,
      transferredBytes: 0,
      remainingBytes: 0,
      rises: 0,
      pollMs: POLL_MS,
    },
    actions: [setDowntime(INITIAL_MS, 'where the doubling starts'), enableXbzrle(context, 'up')],
  }),
  onPoll: (before, { seen, nowMs }) => {
    const polls = before.polls + 1;
    const { transferredBytes, remainingBytes } = seen;
    const idle =
      transferredBytes === null || remainingBytes === null || transferredBytes === before.transferredBytes;
    if (idle) return { memory: { ...before, polls }, wakeAtMs: nowMs + before.pollMs };

    // Less left than a poll carries on average: from here on it looks ten times as often.
    const nearlyDone = remainingBytes < before.transferredBytes / polls;
    const pollMs = nearlyDone ? FAST_POLL_MS : before.pollMs;
    const rose =
      (before.remainingBytes > 0 && remainingBytes > before.remainingBytes) || remainingBytes === 0;
    const rises = before.rises + (rose ? 1 : 0);
    const memory = { ...before, polls, transferredBytes, remainingBytes, rises, pollMs };
    const wakeAtMs = nowMs + pollMs;
    if (rises <= RISES) return { memory, wakeAtMs };

    const downtimeMs = Math.min(2 * before.downtimeMs, MAX_DOWNTIME_LIMIT_MS);
    const counted = { ...memory, rises: 0, downtimeMs };
    if (downtimeMs === before.downtimeMs) return { memory: counted, wakeAtMs };
    const why = `doubled from ${formatMs(before.downtimeMs)}, the remaining memory has risen ${rises} times`;
    return { memory: counted, wakeAtMs, actions: [setDowntime(downtimeMs, why, { rises, remainingBytes })] };
  },
};

export const proxmoxPeers: readonly Peer[] = [peer('proxmox', true, proxmoxRules)];
