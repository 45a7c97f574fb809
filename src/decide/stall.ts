// SPDX-License-Identifier: Apache-2.0
// Watches post-copy for a dead link, beside whatever policy is at work. QEMU itself notices a cut link only after
// minutes of TCP retries; meanwhile the guest's vCPUs wait for pages. A fold like the policies.

import { formatMs } from '../common/index.ts';
import type { Action, Observation } from '../model/index.ts';

export interface StallState {
  readonly transferredBytes: number;
  readonly pageRequests: number;
  readonly progressAtMs: number;
}

/**
 * `pause-postcopy` when nothing has moved for `stallMs` while pages are still missing. Progress is any byte sent or any
 * page request arriving; with pages missing, a running guest's requests are pending by definition. Before the destination
 * has resumed there are none, and a pause would be fatal: QEMU 10.0 can recover only a destination that has the devices'
 * state, while a link that comes back in time lets an unbroken stream go on.
 */
export function stepStall(
  state: StallState | null,
  observation: Observation,
  stallMs: number,
): { state: StallState | null; action: Action | null } {
  if (observation.status !== 'postcopy-active') return { state: null, action: null };
  const transferredBytes = observation.transferredBytes ?? 0;
  const pageRequests = observation.pageRequests ?? 0;
  if (
    state === null ||
    transferredBytes !== state.transferredBytes ||
    pageRequests !== state.pageRequests ||
    observation.remainingBytes === 0 ||
    observation.destinationResumed === false
  ) {
    return { state: { transferredBytes, pageRequests, progressAtMs: observation.atMs }, action: null };
  }
  const stalledMs = observation.atMs - state.progressAtMs;
  if (stalledMs < stallMs) return { state, action: null };
  return {
    state,
    action: {
      kind: 'pause-postcopy',
      reason: {
        text: `no page has crossed the link for ${formatMs(stalledMs)} while the guest waits for pages`,
        numbers: { stalledMs, stallMs, remainingBytes: observation.remainingBytes ?? 0 },
      },
    },
  };
}
