// SPDX-License-Identifier: Apache-2.0
// How post-copy is entered. After RESUME the guest stands still on a chain of page faults, each of which competes with
// the background push for the link, the locks and the cores; so the push is held back while the chain lasts, and where the
// send queue is long in time it is drained before the switch. Part of the adaptive policy's fold. What each part brings:
// bench/README.md.

import type { Action, Forecast, PolicyContext, PolicyInput, Prediction, Reason } from '../model/index.ts';
import { leastSilenceMs } from './early-switch.ts';

export interface PostcopyEntryOptions {
  /** Make the send queue short where that can be done; where it cannot, or is not wanted, what follows on a long one holds. */
  readonly shortQueue: boolean;
  /** Let a send queue of more than this run empty before the switch: STOP to RESUME need not wait for it. */
  readonly drainOverMs: number;
  /** Hold the background push back at first, so that page requests do not compete with it. */
  readonly quietStart: boolean;
  /** The quiet ends when this many page requests have come since RESUME: about as many as a guest needs to answer again. */
  readonly quietRequests: number;
  /** ... or, on a fast link, after this share of the time that the push of the whole dirty set takes. */
  readonly quietRatio: number;
  /** The link stands idle meanwhile: the quiet may cost this share of the total time, */
  readonly quietTmtRatio: number;
  /** ... and where that is less than this, it would end before the guest could answer, and is left out. */
  readonly quietMinMs: number;
  /**
   * The background push gets what the link was seen to carry, so that no queue builds up that requested pages would wait in: where
   * QEMU spreads it evenly by its own limit (what was seen lies about 1 % below what the link carries then; more margin lengthens the
   * push and brings the requests nothing), else by its sockets where those can be reached.
   */
  readonly paced: boolean;
  /**
   * Only for so long after RESUME: what the link carries may be more by and by, which a paced stream does not notice, and a guest
   * has what it needs most by then.
   */
  readonly pacedMs: number;
  /** On a QEMU that lends its levers, the pages that the guest touches first go ahead of the others after RESUME, */
  readonly hotFirst: boolean;
  /** ... and ahead of RESUME as many of them as the link carries in this time. */
  readonly packMs: number;
}

export const defaultPostcopyEntry: PostcopyEntryOptions = {
  shortQueue: true,
  // QEMU enforces its rate limits in windows of 100 ms: a shorter drain costs more than it brings.
  drainOverMs: 100,
  quietStart: true,
  quietRequests: 200,
  quietRatio: 0.2,
  quietTmtRatio: 0.03,
  quietMinMs: 100,
  paced: true,
  pacedMs: 1000,
  hotFirst: true,
  packMs: 10,
};

export type EntryState =
  | {
      readonly kind: 'draining';
      readonly untilMs: number;
      readonly quietMs: number;
      readonly pacedMs: number;
      readonly reason: Reason;
    }
  /** migrate-start-postcopy was sent; the destination's guest does not run yet. */
  | { readonly kind: 'switching'; readonly quietMs: number; readonly pacedMs: number }
  /** The push keeps to what the link was seen to carry. */
  | { readonly kind: 'paced'; readonly openAtMs: number }
  | {
      readonly kind: 'quiet';
      readonly sinceMs: number;
      readonly requestsBefore: number;
      readonly openAtMs: number;
    }
  | { readonly kind: 'open' };

interface EntryStep {
  readonly entry: EntryState;
  readonly actions: readonly Action[];
  readonly wakeAtMs: number | null;
}

// Low enough to be no competition, high enough that QEMU does not read it as "unlimited" (below 10 bytes/s).
const QUIET_BYTES_PER_SEC = 1_000_000;
const MAX_DRAIN_MS = 500;

/** Has the background push wait; set before the switch, so that it holds from RESUME on. */
function quietAction(): Action {
  return {
    kind: 'set-parameters',
    change: { maxPostcopyBandwidthBytesPerSec: QUIET_BYTES_PER_SEC },
    reason: { text: 'quiet start: page requests first, the background push waits', numbers: {} },
  };
}

/** Has the background push come no faster than the link carries, within what the operator allows it. */
function paceAction(context: PolicyContext, bytesPerSec: number): Action {
  const allowed = context.parameters.maxPostcopyBandwidthBytesPerSec ?? 0;
  const paced = Math.round(allowed > 0 ? Math.min(allowed, bytesPerSec) : bytesPerSec);
  return {
    kind: 'set-parameters',
    change: { maxPostcopyBandwidthBytesPerSec: paced },
    reason: {
      text: 'the background push keeps to what the link carries: requested pages do not queue behind it',
      numbers: { bytesPerSec: paced },
    },
  };
}

function openAction({ parameters }: PolicyContext, reason: Reason): Action {
  const change = {
    maxPostcopyBandwidthBytesPerSec: parameters.maxPostcopyBandwidthBytesPerSec ?? 0,
  };
  return { kind: 'set-parameters', change, reason };
}

/** QEMU then waits for room with the guest still running, until what waits before the switch is sent. */
function shortenAction(bandwidthBytesPerSec: number, paced: boolean): Action {
  const text = 'making the send queue short: neither the switch nor requested pages wait behind it';
  return {
    kind: 'shorten-queue',
    bandwidthBytesPerSec,
    paced,
    reason: { text, numbers: { bandwidthBytesPerSec } },
  };
}

/** By the lever that it was paced by. */
function endPacingAction(context: PolicyContext, pacedMs: number): Action {
  const text = 'the background push gets all that the link may carry by now';
  const reason = { text, numbers: { pacedMs } };
  return context.pacesPostcopy ? openAction(context, reason) : { kind: 'end-pacing', reason };
}

/** How long the background push may be held back; 0: not at all. */
function quietMsOf(options: PostcopyEntryOptions, pushMs: number, tmtMs: number): number {
  const quietMs = Math.min(pushMs * options.quietRatio, tmtMs * options.quietTmtRatio);
  return options.quietStart && quietMs >= options.quietMinMs ? quietMs : 0;
}

/**
 * What is set before the switch so that page requests need not wait behind the background push, and for how long. With a short
 * queue they wait so little that a quiet start pays on slow links only (bench/README.md).
 */
export function makeRoom(
  options: PostcopyEntryOptions,
  context: PolicyContext,
  bandwidthBytesPerSec: number | null,
  forecast: { readonly pushMs: number; readonly tmtMs: number },
): { readonly actions: readonly Action[]; readonly quietMs: number; readonly pacedMs: number } {
  if (context.pacesPostcopy && options.paced && bandwidthBytesPerSec !== null) {
    return {
      actions: [paceAction(context, bandwidthBytesPerSec)],
      quietMs: 0,
      pacedMs: options.pacedMs,
    };
  }
  const isNeeded =
    !context.shortensQueue ||
    bandwidthBytesPerSec === null ||
    leastSilenceMs(bandwidthBytesPerSec, context) > context.objective.maxDowntimeMs;
  const quietMs = isNeeded ? quietMsOf(options, forecast.pushMs, forecast.tmtMs) : 0;
  const actions = quietMs > 0 ? [quietAction()] : [];
  if (!context.shortensQueue || bandwidthBytesPerSec === null) return { actions, quietMs, pacedMs: 0 };
  // A push that is held back needs no pace.
  const paced = options.paced && quietMs === 0;
  actions.push(shortenAction(bandwidthBytesPerSec, paced));
  return { actions, quietMs, pacedMs: paced ? options.pacedMs : 0 };
}

/** The first actions of the switch, with what is dirty by then as `choice` says. */
export function beginPostcopy(
  options: PostcopyEntryOptions,
  context: PolicyContext,
  nowMs: number,
  forecast: Forecast,
  choice: Prediction,
  reason: Reason,
): EntryStep {
  const bandwidth = forecast.bandwidthBytesPerSec;
  const pushMs = bandwidth === null ? 0 : (choice.dirtyAtSwitchBytes / bandwidth) * 1000;
  const room = makeRoom(options, context, bandwidth, { pushMs, tmtMs: choice.tmtMs.expected });
  const { quietMs, pacedMs } = room;
  const actions = [...room.actions];
  const isShort = context.shortensQueue || bandwidth === null;
  const queueMs = isShort ? 0 : (context.sendQueueBytes / bandwidth) * 1000;
  if (queueMs <= options.drainOverMs) {
    actions.push({ kind: 'start-postcopy', reason });
    return { entry: { kind: 'switching', quietMs, pacedMs }, actions, wakeAtMs: null };
  }
  const drainMs = Math.min(MAX_DRAIN_MS, queueMs);
  actions.push({
    kind: 'set-parameters',
    change: { maxBandwidthBytesPerSec: QUIET_BYTES_PER_SEC },
    reason: { text: 'draining the send queue before the switch', numbers: { drainMs } },
  });
  const untilMs = nowMs + drainMs;
  return { entry: { kind: 'draining', untilMs, quietMs, pacedMs, reason }, actions, wakeAtMs: untilMs };
}

/** One step of the entry: draining -> switching -> quiet or paced -> open. */
export function stepPostcopy(
  options: PostcopyEntryOptions,
  context: PolicyContext,
  entry: EntryState,
  input: PolicyInput,
): EntryStep {
  switch (entry.kind) {
    case 'draining':
      if (input.nowMs < entry.untilMs) return { entry, actions: [], wakeAtMs: entry.untilMs };
      return {
        entry: { kind: 'switching', quietMs: entry.quietMs, pacedMs: entry.pacedMs },
        actions: [{ kind: 'start-postcopy', reason: entry.reason }],
        wakeAtMs: null,
      };
    case 'switching': {
      if (input.kind !== 'observation' || input.observation.status !== 'postcopy-active') {
        return { entry, actions: [], wakeAtMs: null };
      }
      if (entry.quietMs === 0 && entry.pacedMs === 0)
        return { entry: { kind: 'open' }, actions: [], wakeAtMs: null };
      // Where nobody listens to the destination, its RESUME is taken to come with the switch.
      if (input.observation.destinationResumed === false) return { entry, actions: [], wakeAtMs: null };
      if (entry.pacedMs > 0) {
        const openAtMs = input.nowMs + entry.pacedMs;
        return { entry: { kind: 'paced', openAtMs }, actions: [], wakeAtMs: openAtMs };
      }
      return {
        entry: {
          kind: 'quiet',
          sinceMs: input.nowMs,
          requestsBefore: input.observation.pageRequests ?? 0,
          openAtMs: input.nowMs + entry.quietMs,
        },
        actions: [],
        wakeAtMs: input.nowMs + entry.quietMs,
      };
    }
    case 'quiet': {
      const requests =
        input.kind === 'observation' ? (input.observation.pageRequests ?? 0) - entry.requestsBefore : 0;
      if (input.nowMs < entry.openAtMs && requests < options.quietRequests) {
        return { entry, actions: [], wakeAtMs: entry.openAtMs };
      }
      const text = 'quiet start is over: the background push gets the link';
      const numbers = { quietMs: input.nowMs - entry.sinceMs, requests };
      return { entry: { kind: 'open' }, actions: [openAction(context, { text, numbers })], wakeAtMs: null };
    }
    case 'paced':
      if (input.nowMs < entry.openAtMs) return { entry, actions: [], wakeAtMs: entry.openAtMs };
      return {
        entry: { kind: 'open' },
        actions: [endPacingAction(context, options.pacedMs)],
        wakeAtMs: null,
      };
    case 'open':
      return { entry, actions: [], wakeAtMs: null };
  }
}
