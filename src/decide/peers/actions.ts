// SPDX-License-Identifier: Apache-2.0
// The actions that peers take, made in one place, so that none can hand QEMU a downtime-limit that it refuses (above
// 2,000,000 ms) or that blacks the guest out (0: QEMU then completes unchecked).

import { formatMs, formatRate } from '../../common/index.ts';
import type { Action, ParameterChange, PolicyContext } from '../../model/index.ts';

export const MAX_DOWNTIME_LIMIT_MS = 2_000_000;

/** QEMU's own default, which several peers leave as it is. */
export const QEMU_DOWNTIME_LIMIT_MS = 300;

type Numbers = Readonly<Record<string, number>>;

export function setDowntime(downtimeMs: number, why: string, numbers: Numbers = {}): Action {
  const downtimeLimitMs = Math.min(MAX_DOWNTIME_LIMIT_MS, Math.max(1, Math.round(downtimeMs)));
  return {
    kind: 'set-parameters',
    change: { downtimeLimitMs },
    reason: {
      text: `downtime-limit ${formatMs(downtimeLimitMs)}: ${why}`,
      numbers: { downtimeLimitMs, ...numbers },
    },
  };
}

/** For a policy that brings no number of its own: the operator's, as the baseline qemu-default has it. */
export function setOperatorsDowntime(context: PolicyContext): Action {
  return setDowntime(context.objective.maxDowntimeMs, 'the maximum downtime as QEMU understands it');
}

/** QEMU completes only by this policy's rule: less than 1 ms of transfer left is as good as nothing left. */
export function holdSwitchover(): Action {
  return setDowntime(1, 'the switchover is held, the rule of this policy decides');
}

/**
 * QEMU's own stop-and-copy, now: with the largest limit whatever is left fits, so QEMU stops the guest at its next look
 * (50 ms at most), sends the rest without a rate limit and starts the guest on the destination by itself.
 */
export function stopAndCopy(why: string, numbers: Numbers = {}): Action {
  return setDowntime(MAX_DOWNTIME_LIMIT_MS, why, numbers);
}

export function setBandwidth(maxBandwidthBytesPerSec: number, why: string, numbers: Numbers = {}): Action {
  const rate = maxBandwidthBytesPerSec === 0 ? 'unlimited' : formatRate(maxBandwidthBytesPerSec);
  return setParameters({ maxBandwidthBytesPerSec }, `max-bandwidth ${rate}: ${why}`, {
    maxBandwidthBytesPerSec,
    ...numbers,
  });
}

export function setParameters(change: ParameterChange, text: string, numbers: Numbers): Action {
  return { kind: 'set-parameters', change, reason: { text, numbers } };
}

export function startPostcopy(text: string, numbers: Numbers = {}): Action {
  return { kind: 'start-postcopy', reason: { text: `post-copy: ${text}`, numbers } };
}

export function pauseGuest(text: string, numbers: Numbers = {}): Action {
  return { kind: 'pause-guest', reason: { text: `stopping the guest to send the rest: ${text}`, numbers } };
}

export function cancel(text: string, numbers: Numbers = {}): Action {
  return { kind: 'cancel', reason: { text: `aborting: ${text}`, numbers } };
}

/** Nothing is done; why is recorded and shown. */
export function goOn(text: string, numbers: Numbers = {}): Action {
  return { kind: 'continue', reason: { text, numbers } };
}

/** What a peer that wants post-copy is left with where post-copy is not to be had and it knows no other way. */
export function withoutPostcopy(): Action {
  return goOn('post-copy is due but not to be had here: pre-copy goes on');
}
