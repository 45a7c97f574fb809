// SPDX-License-Identifier: Apache-2.0
// How post-copy is entered. After RESUME the guest stands still on a chain of page faults, each of which waits behind
// whatever else is on its way; so the stream is drained before the switch and the background push kept quiet for the
// start of it. Part of the adaptive policy's fold.

import type { Action, Forecast, PolicyContext, PolicyInput, Reason } from '../model/index.ts';

export interface PostcopyEntryOptions {
  /** Let the send queue run empty before the switch: shortens STOP to RESUME by the queue's length. */
  readonly drain: boolean;
  /** Hold the background push back at first, so that page requests do not compete with it. */
  readonly quietStart: boolean;
  readonly quietMs: number;
}

export const defaultPostcopyEntry: PostcopyEntryOptions = { drain: true, quietStart: true, quietMs: 200 };

export type EntryState =
  | { readonly kind: 'draining'; readonly untilMs: number; readonly reason: Reason }
  /** migrate-start-postcopy was sent; the switch has not been seen yet. */
  | { readonly kind: 'requested' }
  | { readonly kind: 'quiet'; readonly switchedMs: number; readonly openAtMs: number }
  | { readonly kind: 'open' };

interface EntryStep {
  readonly entry: EntryState;
  readonly actions: readonly Action[];
  readonly wakeAtMs: number | null;
}

// Low enough to be no competition, high enough that QEMU does not read it as "unlimited" (below 10 bytes/s).
const QUIET_BYTES_PER_SEC = 1_000_000;
const MAX_DRAIN_MS = 500;

/** The first actions of the switch. */
export function beginPostcopy(
  options: PostcopyEntryOptions,
  context: PolicyContext,
  nowMs: number,
  forecast: Forecast,
  reason: Reason,
): EntryStep {
  const actions: Action[] = [];
  if (options.quietStart) {
    actions.push({
      kind: 'set-parameters',
      change: { maxPostcopyBandwidthBytesPerSec: QUIET_BYTES_PER_SEC },
      reason: { text: 'quiet start: page requests first, the background push waits', numbers: {} },
    });
  }
  const bandwidth = forecast.bandwidthBytesPerSec;
  const drainMs =
    options.drain && bandwidth !== null
      ? Math.min(MAX_DRAIN_MS, (context.sendQueueBytes / bandwidth) * 1000)
      : 0;
  if (drainMs === 0) {
    return { entry: { kind: 'requested' }, actions: [...actions, start(reason)], wakeAtMs: null };
  }
  actions.push({
    kind: 'set-parameters',
    change: { maxBandwidthBytesPerSec: QUIET_BYTES_PER_SEC },
    reason: { text: 'draining the send queue before the switch', numbers: { drainMs } },
  });
  const untilMs = nowMs + drainMs;
  return { entry: { kind: 'draining', untilMs, reason }, actions, wakeAtMs: untilMs };
}

function start(reason: Reason): Action {
  return { kind: 'start-postcopy', reason };
}

function open(context: PolicyContext, text: string, numbers: Record<string, number>): Action {
  return {
    kind: 'set-parameters',
    change: { maxPostcopyBandwidthBytesPerSec: context.parameters.maxPostcopyBandwidthBytesPerSec ?? 0 },
    reason: { text, numbers },
  };
}

/** One step of the entry: draining -> requested -> quiet -> open. */
export function stepPostcopy(
  options: PostcopyEntryOptions,
  context: PolicyContext,
  entry: EntryState,
  input: PolicyInput,
): EntryStep {
  switch (entry.kind) {
    case 'draining':
      if (input.nowMs < entry.untilMs) return { entry, actions: [], wakeAtMs: entry.untilMs };
      return { entry: { kind: 'requested' }, actions: [start(entry.reason)], wakeAtMs: null };
    case 'requested': {
      if (input.kind !== 'observation' || input.observation.status !== 'postcopy-active') {
        return { entry, actions: [], wakeAtMs: null };
      }
      if (!options.quietStart) return { entry: { kind: 'open' }, actions: [], wakeAtMs: null };
      const openAtMs = input.nowMs + options.quietMs;
      return {
        entry: { kind: 'quiet', switchedMs: input.nowMs, openAtMs },
        actions: [],
        wakeAtMs: openAtMs,
      };
    }
    case 'quiet':
      if (input.nowMs < entry.openAtMs) return { entry, actions: [], wakeAtMs: entry.openAtMs };
      return {
        entry: { kind: 'open' },
        actions: [
          open(context, 'quiet start is over: the background push gets the link', {
            quietMs: input.nowMs - entry.switchedMs,
          }),
        ],
        wakeAtMs: null,
      };
    case 'open':
      return { entry, actions: [], wakeAtMs: null };
  }
}
