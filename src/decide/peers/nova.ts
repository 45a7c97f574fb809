// SPDX-License-Identifier: Apache-2.0
// OpenStack Nova's libvirt driver (00a0304 of 2026, read in source): the downtime is raised in ten equal steps whose length
// grows with the guest's memory; a completion time-out then aborts (as shipped) or forces the end.
//
// Left out: block-migrated disks in the data size (shared storage is assumed), the statistics that it saves, auto_converge
// and post-copy permission as shipped (off); nova-force-complete stands for a host that permits post-copy. The older
// progress time-out is gone since Pike, because `remaining` is a sawtooth. The operator's maximum downtime is not looked at.

import { formatMs, GIB } from '../../common/index.ts';
import type { Action, PolicyContext } from '../../model/index.ts';
import { cancel, pauseGuest, setDowntime, startPostcopy } from './actions.ts';
import { LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type View } from './fold.ts';

const POLL_MS = 500;
const DOWNTIME_MS = 500;
const STEPS = 10;
const DELAY_SEC_PER_GIB = 75;
const TIMEOUT_SEC_PER_GIB = 800;
const MIN_GIB = 2;

function dataGib(context: PolicyContext): number {
  return Math.max(MIN_GIB, context.memoryBytes / GIB);
}

/**
 * Nova's step k of 0..10: base + offset k with base = 500/10 and offset = (500 - base)/10, from k x int(75 s x GiB) on.
 * Worked example, 4 GiB: 50, 95, 140, ... 500 ms, one step every 300 s, 500 ms from 3000 s on.
 */
function stepDowntimeMs(step: number): number {
  const base = DOWNTIME_MS / STEPS;
  return Math.trunc(base + ((DOWNTIME_MS - base) / STEPS) * step);
}

interface Memory {
  readonly downtimeMs: number;
  readonly forced: boolean;
}

type TimeoutAction = 'abort' | 'force-complete';

function atTimeout(action: TimeoutAction, timeoutMs: number, { context, timeScale }: View): Action {
  const text = `not complete after ${formatMs(timeoutMs * timeScale)}`;
  const numbers = { timeoutMs: timeoutMs * timeScale };
  if (action === 'abort') return cancel(text, numbers);
  return context.postcopyReady ? startPostcopy(text, numbers) : pauseGuest(text, numbers);
}

function novaRules(action: TimeoutAction): Rules<Memory> {
  return {
    capabilities: action === 'abort' ? [] : LIBVIRT_POSTCOPY,
    pollMs: POLL_MS,
    // The first look comes at once, before the first sleep.
    begin: () => ({
      memory: { downtimeMs: stepDowntimeMs(0), forced: false },
      actions: [setDowntime(stepDowntimeMs(0), `step 0 of ${STEPS}`)],
    }),
    onPoll: (memory, view) => {
      const gib = dataGib(view.context);
      const timeoutMs = Math.trunc(TIMEOUT_SEC_PER_GIB * gib) * 1000;
      const delayMs = Math.trunc(DELAY_SEC_PER_GIB * gib) * 1000;
      const actions: Action[] = [];
      const forced = memory.forced || view.nowMs > timeoutMs;
      if (forced && !memory.forced) actions.push(atTimeout(action, timeoutMs, view));
      // The last step whose time has passed, strictly.
      const step = Math.min(STEPS, Math.max(0, Math.ceil(view.nowMs / delayMs) - 1));
      const downtimeMs = stepDowntimeMs(step);
      if (downtimeMs !== memory.downtimeMs) {
        const stepMs = delayMs * view.timeScale;
        actions.push(
          setDowntime(downtimeMs, `step ${step} of ${STEPS}, one every ${formatMs(stepMs)}`, {
            step,
            stepMs,
          }),
        );
      }
      return { memory: { downtimeMs, forced }, actions };
    },
  };
}

export const novaPeers: readonly Peer[] = [
  peer('nova-abort', true, novaRules('abort')),
  peer('nova-force-complete', true, novaRules('force-complete')),
];
