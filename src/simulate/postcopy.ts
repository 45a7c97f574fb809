// SPDX-License-Identifier: Apache-2.0
// The model after the switch to post-copy: what is missing is pushed, and the guest stands still on its first faults.

import type { Observation, PolicyContext } from '../model/index.ts';
import type { ModelCosts } from './costs.ts';
import type { SimulatedGuest } from './guest.ts';
import { observationOf } from './observe.ts';
import { type MigrationState, wireBytesPerMs } from './state.ts';

export interface PostcopyInputs {
  readonly state: MigrationState;
  readonly guest: SimulatedGuest;
  readonly context: PolicyContext;
  readonly linkBytesPerSec: number;
  readonly costs: ModelCosts;
  /** The guest runs on the destination by now: the simulation began in post-copy. */
  readonly already: boolean;
  /** Shows the policy an observation, or a moment; answers when it wants to be woken. */
  readonly step: (observation: Observation) => number | null;
  readonly tick: (nowMs: number) => number | null;
}

export interface PostcopyEnd {
  readonly tmtMs: number;
  readonly stopToResumeMs: number;
  readonly silenceMs: number;
  readonly transferredBytes: number;
  readonly lostWorkMs: number;
}

const SAMPLE_MS = 250;
/** Of a guest that waits for one page of several at a time, this share of its work goes on: chosen, not measured. */
const MISSING_WORK_RATIO = 0.5;

/** How many page requests stand between RESUME and the guest's first answer. */
function faultsUntilAnswer(state: MigrationState, guest: SimulatedGuest, costs: ModelCosts): number {
  if (state.packBytes !== null) return costs.faultsHotFirst;
  const unsent = state.round <= 1 ? Math.min(1, state.pendingBytes / guest.memoryBytes) : 0;
  return costs.faultsOfDirtyPages + costs.faultsOfUnsentPages * unsent ** 3;
}

/** What the background push gets of the link. */
function pushBytesPerMs(state: MigrationState, linkBytesPerSec: number): number {
  const limit = state.parameters.maxPostcopyBandwidthBytesPerSec ?? 0;
  return (limit > 0 ? Math.min(limit, linkBytesPerSec) : linkBytesPerSec) / 1000;
}

/**
 * Whether requested pages queue behind the push: where QEMU spreads it evenly, when it asks for more than the link carries; where it
 * comes in bursts, near the link's rate already.
 */
function pushLeavesQueue(state: MigrationState, context: PolicyContext, linkBytesPerSec: number): boolean {
  const limit = state.parameters.maxPostcopyBandwidthBytesPerSec ?? 0;
  return limit === 0 || limit > linkBytesPerSec * (context.pacesPostcopy ? 1.005 : 0.995);
}

/** From a page request to the page. */
function requestMs(
  state: MigrationState,
  { faultMs, pushQueueBytes, shortRequestBytes }: ModelCosts,
  linkPerMs: number,
  isBehind: boolean,
): number {
  if (!isBehind) return faultMs;
  return state.isQueueShort ? shortRequestBytes / linkPerMs : faultMs + pushQueueBytes / linkPerMs;
}

/**
 * The guest's silence is STOP to RESUME, then its first faults one after the other, then its awakening. A fault waits behind
 * the push where that fills the link; where it is held back or paced it does not.
 */
export function endOfPostcopy(inputs: PostcopyInputs): PostcopyEnd {
  const { state, guest, context, linkBytesPerSec, costs, already, step, tick } = inputs;
  const wire = wireBytesPerMs(state, linkBytesPerSec);
  const linkPerMs = linkBytesPerSec / 1000;
  // A stream below the link's rate leaves no queue.
  const fillsLink = wire >= linkPerMs && !context.pacesPostcopy && !state.isQueueShort;
  const queueBytes = fillsLink ? Math.min(costs.queueBytes, context.sendQueueBytes) : 0;
  const packMs = Math.min(state.packBytes ?? 0, state.deferredBytes + state.pendingBytes) / linkPerMs;
  const stopToResumeMs = already ? 0 : costs.postcopySwitchMs + queueBytes / linkPerMs + packMs;
  const faults = already ? 0 : faultsUntilAnswer(state, guest, costs);
  let missingBytes = state.pendingBytes * (1 - state.zeroRatio) + state.deferredBytes;
  const packed = Math.min(missingBytes, packMs * linkPerMs);
  missingBytes -= packed;
  state.transferredBytes += packed;
  const resumedAtMs = state.nowMs + stopToResumeMs;
  let faultsLeft = faults;
  let answeredAtMs: number | null = already ? state.nowMs : null;
  let requests = 0;
  let isResumed = already;
  let wakeAtMs: number | null = null;
  let nextSampleMs = state.nowMs;
  for (;;) {
    const rate = isResumed ? pushBytesPerMs(state, linkBytesPerSec) : linkPerMs;
    const isBehind = isResumed && pushLeavesQueue(state, context, linkBytesPerSec);
    const faultMs = requestMs(state, costs, linkPerMs, isBehind);
    const endMs = isResumed ? state.nowMs + missingBytes / rate : Infinity;
    const answerMs = isResumed && faultsLeft > 0 ? state.nowMs + faultsLeft * faultMs : Infinity;
    const nextMs = Math.min(
      endMs,
      answerMs,
      isResumed ? Infinity : resumedAtMs,
      nextSampleMs,
      wakeAtMs ?? Infinity,
    );
    const passedMs = nextMs - state.nowMs;
    if (isResumed) {
      const pushed = Math.min(missingBytes, rate * passedMs);
      missingBytes -= pushed;
      state.transferredBytes += pushed;
      const asked = Math.min(faultsLeft, passedMs / faultMs);
      faultsLeft -= asked;
      requests += asked;
    }
    state.nowMs = nextMs;
    if (nextMs === endMs && missingBytes <= 1) break;
    if (nextMs === answerMs) {
      faultsLeft = 0;
      answeredAtMs = nextMs;
      continue;
    }
    if (!isResumed && nextMs >= resumedAtMs) isResumed = true;
    if (wakeAtMs !== null && nextMs >= wakeAtMs && nextMs < nextSampleMs) {
      wakeAtMs = tick(nextMs);
      continue;
    }
    nextSampleMs = nextMs + (isResumed ? SAMPLE_MS : Math.max(5, resumedAtMs - nextMs));
    wakeAtMs = step(
      observationOf(state, guest, {
        kind: 'sample',
        status: 'postcopy-active',
        endedRoundMs: null,
        dirtyAtRoundStartBytes: null,
        unsentBytes: null,
        remainingBytes: missingBytes,
        wireBytesPerMs: rate,
        pageRequests: Math.round(requests),
        destinationResumed: isResumed,
        dirtySamples: [],
        pages: null,
        showsPages: false,
      }),
    );
  }
  const answered = answeredAtMs ?? state.nowMs;
  const silenceMs = answered - (resumedAtMs - stopToResumeMs) + (already ? 0 : costs.awakeningMs);
  const tmtMs = Math.max(state.nowMs, resumedAtMs) + costs.postcopyEndMs;
  return {
    tmtMs,
    stopToResumeMs,
    silenceMs,
    transferredBytes: state.transferredBytes,
    lostWorkMs: silenceMs + Math.max(0, tmtMs - answered) * MISSING_WORK_RATIO * missingShare(guest, state),
  };
}

/** How much of what the guest works on is missing when it answers again, on average until all is there. */
function missingShare(guest: SimulatedGuest, state: MigrationState): number {
  return Math.min(1, (state.pendingBytes + state.deferredBytes) / guest.memoryBytes);
}
