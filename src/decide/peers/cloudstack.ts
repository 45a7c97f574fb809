// SPDX-License-Identifier: Apache-2.0
// Apache CloudStack's KVM agent (an excerpt of its source): three fixed moments, watched every 100 ms. The downtime is set
// once after 1 s (a moment at which the migration is surely under way), the guest is suspended at vm.migrate.pauseafter and
// the migration aborted at vm.migrate.wait.
//
// As shipped all three settings are off. Here the downtime is the operator's maximum, and the moments are examples: 60 s and
// 300 s; a time scale moves them. Auto-converge, an option, is left out.

import { formatMs } from '../../common/index.ts';
import type { Action } from '../../model/index.ts';
import { cancel, pauseGuest, setOperatorsDowntime } from './actions.ts';
import { type Peer, peer, type Rules } from './fold.ts';

const POLL_MS = 100;
const DOWNTIME_AT_MS = 1000;
const PAUSE_AFTER_MS = 60_000;
const WAIT_MS = 300_000;

interface Memory {
  readonly downtimeIsSet: boolean;
  readonly paused: boolean;
}

const cloudstackRules: Rules<Memory> = {
  capabilities: [],
  pollMs: POLL_MS,
  begin: () => ({ memory: { downtimeIsSet: false, paused: false } }),
  onPoll: (memory, { context, nowMs, timeScale }) => {
    const actions: Action[] = [];
    const downtimeIsSet = nowMs >= DOWNTIME_AT_MS;
    const paused = nowMs > PAUSE_AFTER_MS;
    if (downtimeIsSet && !memory.downtimeIsSet) actions.push(setOperatorsDowntime(context));
    if (nowMs > WAIT_MS) {
      const waitMs = WAIT_MS * timeScale;
      actions.push(cancel(`not complete after ${formatMs(waitMs)}`, { waitMs }));
    } else if (paused && !memory.paused) {
      const pauseAfterMs = PAUSE_AFTER_MS * timeScale;
      actions.push(pauseGuest(`not complete after ${formatMs(pauseAfterMs)}`, { pauseAfterMs }));
    }
    return { memory: { downtimeIsSet, paused }, actions };
  },
};

export const cloudstackPeers: readonly Peer[] = [peer('cloudstack', true, cloudstackRules)];
