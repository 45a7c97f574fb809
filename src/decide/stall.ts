// SPDX-License-Identifier: Apache-2.0
// Watches post-copy for a dead link, beside whatever policy is at work. QEMU itself notices a cut link only after
// minutes of TCP retries; meanwhile the guest's vCPUs wait for pages. A fold like the policies.

import { formatMs } from '../common/index.ts';
import type { Action, Observation } from '../model/index.ts';

export interface StallState {
  readonly transferredBytes: number;
  readonly pageRequests: number;
  readonly progressAtMs: number;
  readonly destinationResumed: boolean | null;
  /** What is to be done about this stall was said already. */
  readonly said: boolean;
}

/**
 * `pause-postcopy` when nothing has moved for `stallMs` while pages are still missing. Progress is any byte sent or any
 * page request arriving; with pages missing, a running guest's requests are pending by definition. Before the destination
 * has resumed a pause would be fatal: QEMU 10.0 can recover only a destination that has the devices' state, while a link
 * that comes back in time lets an unbroken stream go on. That stall is waited out, and said.
 */
export function stepStall(
  state: StallState | null,
  observation: Observation,
  stallMs: number,
): { state: StallState | null; action: Action | null } {
  if (observation.status !== 'postcopy-active') return { state: null, action: null };
  const { destinationResumed } = observation;
  const transferredBytes = observation.transferredBytes ?? 0;
  const pageRequests = observation.pageRequests ?? 0;
  const moved =
    transferredBytes !== state?.transferredBytes ||
    pageRequests !== state.pageRequests ||
    destinationResumed !== state.destinationResumed ||
    observation.remainingBytes === 0;
  if (moved) {
    const progressAtMs = observation.atMs;
    return {
      state: { transferredBytes, pageRequests, destinationResumed, progressAtMs, said: false },
      action: null,
    };
  }
  const stalledMs = observation.atMs - state.progressAtMs;
  if (stalledMs < stallMs || state.said) return { state, action: null };
  const mustWait = destinationResumed === false;
  const text = mustWait
    ? `nothing has crossed the link for ${formatMs(stalledMs)} and the guest has yet to resume: waiting for the link, for breaking off now would lose the guest`
    : `no page has crossed the link for ${formatMs(stalledMs)} while the guest waits for pages`;
  const reason = { text, numbers: { stalledMs, stallMs, remainingBytes: observation.remainingBytes ?? 0 } };
  return {
    state: { ...state, said: true },
    action: { kind: mustWait ? 'continue' : 'pause-postcopy', reason },
  };
}
