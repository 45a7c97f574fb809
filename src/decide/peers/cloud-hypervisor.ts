// SPDX-License-Identifier: Apache-2.0
// Cloud Hypervisor (its source and issues of 2026): after each round it stops the guest when nothing is dirty, or when what
// is dirty takes at most 300 ms at the bandwidth of the round that ended. It gives up after an hour.
//
// On QEMU: the switchover is held, and offered exactly those 300 ms at a boundary whose estimate fits, so that QEMU stops
// the guest and sends the rest; where QEMU's own estimate (of its last 100 ms) disagrees until the next boundary, the hold
// returns. Left out: the strategy "ignore" at the time-out (as shipped it cancels), and what forks add (auto-converge). The
// 300 ms are all for the memory, as in the original: what devices need comes on top. The operator's maximum downtime is not
// looked at.

import { formatBytes, formatMs } from '../../common/index.ts';
import { cancel, holdSwitchover, setDowntime } from './actions.ts';
import { dirtyBytes, type Peer, peer, type Rules } from './fold.ts';
import { markOf, roundBandwidth, type RoundMark, startOfMigration } from './round-bandwidth.ts';

const DOWNTIME_MS = 300;
const TIMEOUT_MS = 3_600_000;

interface Memory {
  readonly mark: RoundMark;
  readonly released: boolean;
}

const cloudHypervisorRules: Rules<Memory> = {
  capabilities: [],
  begin: () => ({
    memory: { mark: startOfMigration, released: false },
    actions: [holdSwitchover()],
    wakeAtMs: TIMEOUT_MS,
  }),
  /** est = delta / bandwidth. Worked example: 30 MB at 117 MB/s are 256 ms: it stops. */
  onRound: (before, { seen }) => {
    const memory = { ...before, mark: markOf(seen) };
    const bandwidth = roundBandwidth(before.mark, seen);
    const bytes = dirtyBytes(seen);
    const estimateMs = bytes === 0 ? 0 : bandwidth === null ? Infinity : (bytes / bandwidth) * 1000;
    const released = estimateMs <= DOWNTIME_MS;
    if (released === before.released) return { memory };
    const why = `${formatBytes(bytes)} take ${formatMs(estimateMs)}`;
    const action = released ? setDowntime(DOWNTIME_MS, why, { estimateMs }) : holdSwitchover();
    return { memory: { ...memory, released }, actions: [action] };
  },
  onPoll: (memory, { timeScale }) => {
    const timeoutMs = TIMEOUT_MS * timeScale;
    return { memory, actions: [cancel(`not complete after ${formatMs(timeoutMs)}`, { timeoutMs })] };
  },
};

export const cloudHypervisorPeers: readonly Peer[] = [peer('cloud-hypervisor', true, cloudHypervisorRules)];
