// SPDX-License-Identifier: Apache-2.0
// What a simulated migration is at a moment, and what it becomes as time passes without anything happening.

import type { ParameterValues, PolicyContext } from '../model/index.ts';
import type { ModelCosts } from './costs.ts';
import type { SimulatedGuest } from './guest.ts';

/** Where a simulation begins: a migration that has not begun, or one that is under way. */
export interface MigrationStart {
  readonly nowMs: number;
  readonly round: number;
  readonly roundStartMs: number;
  /** Memory that the round has still to go over, and the share of it that is all zero. */
  readonly pendingBytes: number;
  readonly zeroRatio: number;
  readonly transferredBytes: number;
}

export interface Throttle {
  percent: number;
  /** Rounds in a row that dirtied too much. */
  highRounds: number;
  checkedAtMs: number;
  transferredBytes: number;
  dirtiedBytes: number;
}

/** Changed in place: one simulation owns it, and thousands of them are made a second. */
export interface MigrationState {
  nowMs: number;
  /** The guest's own time: slower than the clock while it is throttled, still while it is stopped. */
  guestMs: number;
  round: number;
  roundStartMs: number;
  /** When the dirty bitmap was taken last, in the guest's time. */
  syncedGuestMs: number;
  /** To be sent in this round. */
  pendingBytes: number;
  /** The same at the last sync, and how much of it was of each part; what is of none stands last. */
  syncedPendingBytes: number;
  readonly syncedByPart: number[];
  zeroRatio: number;
  /** Dirty pages of parts that are left out of the rounds. */
  deferredBytes: number;
  transferredBytes: number;
  zeroBytes: number;
  stoppedAtMs: number | null;
  readonly parameters: { -readonly [K in keyof ParameterValues]: ParameterValues[K] };
  held: boolean;
  sampleMs: number;
  /** Parts of at least that heat class are left out; Infinity: none. */
  deferFromClass: number;
  /** Deferred pages go first after the switch, so many bytes of them ahead of RESUME; null: QEMU's own order. */
  packBytes: number | null;
  /** As little waits in QEMU's socket as the link needs. */
  isQueueShort: boolean;
  readonly throttle: Throttle;
}

export function initialState(
  guest: SimulatedGuest,
  context: PolicyContext,
  costs: ModelCosts,
  start: MigrationStart | null,
): MigrationState {
  const from = start ?? {
    nowMs: costs.setupMs,
    round: 1,
    roundStartMs: 0,
    pendingBytes: guest.memoryBytes,
    zeroRatio: guest.zeroBytes / guest.memoryBytes,
    transferredBytes: 0,
  };
  return {
    ...from,
    guestMs: from.nowMs,
    syncedGuestMs: from.roundStartMs,
    syncedPendingBytes: from.pendingBytes,
    syncedByPart: pendingByPart(guest, from),
    deferredBytes: 0,
    zeroBytes: 0,
    stoppedAtMs: null,
    parameters: { ...context.parameters },
    held: false,
    sampleMs: 0,
    deferFromClass: Infinity,
    packBytes: null,
    isQueueShort: false,
    throttle: { percent: 0, highRounds: 0, checkedAtMs: from.nowMs, transferredBytes: 0, dirtiedBytes: 0 },
  };
}

/**
 * How what is pending spreads over the parts: in the first round evenly over all memory; later, what was written is of the
 * parts that are written, in proportion to what a second of the guest writes of each.
 */
function pendingByPart(guest: SimulatedGuest, { round, pendingBytes, nowMs }: MigrationStart): number[] {
  const { parts, memoryBytes } = guest;
  const weights =
    round <= 1
      ? parts.map(({ bytes }) => bytes / memoryBytes)
      : parts.map((part) => part.dirtyBetween(nowMs - 1000, nowMs));
  const total = round <= 1 ? 1 : weights.reduce((sum, each) => sum + each, 0);
  const byPart = parts.map(({ bytes }, i) =>
    total > 0 ? Math.min(bytes, (pendingBytes * (weights[i] ?? 0)) / total) : 0,
  );
  return [...byPart, Math.max(0, pendingBytes - byPart.reduce((sum, each) => sum + each, 0))];
}

/** What crosses the link per ms: QEMU's limit or the link's, whichever is less. */
export function wireBytesPerMs({ parameters }: MigrationState, linkBytesPerSec: number): number {
  const limit = parameters.maxBandwidthBytesPerSec ?? 0;
  return (limit > 0 ? Math.min(limit, linkBytesPerSec) : linkBytesPerSec) / 1000;
}

/** How much memory a round goes over per ms: pages that are not zero at the wire's rate, zero pages as fast as they are read. */
export function passBytesPerMs(state: MigrationState, wire: number, { zeroBytesPerMs }: ModelCosts): number {
  const { zeroRatio } = state;
  return 1 / ((1 - zeroRatio) / wire + zeroRatio / zeroBytesPerMs);
}

/** Lets time pass in which nothing is decided. */
export function advance(
  state: MigrationState,
  toMs: number,
  wire: number,
  costs: ModelCosts,
  { busyRatio }: SimulatedGuest,
): void {
  const passedMs = toMs - state.nowMs;
  if (passedMs <= 0) return;
  const passed = Math.min(state.pendingBytes, passBytesPerMs(state, wire, costs) * passedMs);
  state.pendingBytes -= passed;
  state.transferredBytes += passed * (1 - state.zeroRatio);
  state.zeroBytes += passed * state.zeroRatio;
  state.nowMs = toMs;
  if (state.stoppedAtMs !== null) return;
  const left = 1 - state.throttle.percent / 100;
  state.guestMs += passedMs * Math.min(1, left / Math.max(busyRatio, 0.01));
}

/**
 * Takes the dirty bitmap: what was written since the last time joins what is pending. A page that still waits and was written
 * again is sent once, so that of a part whose share q is pending the share 1 - q of the newly written comes on top.
 */
export function syncBitmap(
  guest: SimulatedGuest,
  state: MigrationState,
): { readonly dirtiedBytes: number; readonly deferredDirtiedBytes: number } {
  const { syncedByPart, deferFromClass } = state;
  const leftRatio = state.syncedPendingBytes > 0 ? state.pendingBytes / state.syncedPendingBytes : 0;
  let [dirtiedBytes, deferredDirtiedBytes, pending] = [0, 0, 0];
  guest.parts.forEach((part, i) => {
    const written = part.dirtyBetween(state.syncedGuestMs, state.guestMs);
    if (part.heatClass >= deferFromClass) {
      deferredDirtiedBytes += written;
      syncedByPart[i] = 0;
      return;
    }
    const waiting = (syncedByPart[i] ?? 0) * leftRatio;
    const fresh = part.bytes > 0 ? written * (1 - Math.min(1, waiting / part.bytes)) : 0;
    syncedByPart[i] = Math.min(part.bytes, waiting + fresh);
    dirtiedBytes += written;
    pending += syncedByPart[i] ?? 0;
  });
  const last = guest.parts.length;
  syncedByPart[last] = (syncedByPart[last] ?? 0) * leftRatio;
  pending = Math.min(guest.memoryBytes, pending + (syncedByPart[last] ?? 0));
  // Only memory that was never sent may be zero.
  state.zeroRatio = pending > 0 ? Math.min(1, (state.zeroRatio * state.pendingBytes) / pending) : 0;
  state.pendingBytes = pending;
  state.syncedPendingBytes = pending;
  state.deferredBytes = deferredBytesOf(guest, deferFromClass);
  state.syncedGuestMs = state.guestMs;
  return { dirtiedBytes, deferredDirtiedBytes };
}

/** Dirty bytes of the parts that are left out of the rounds, once the guest has been over them. */
function deferredBytesOf(guest: SimulatedGuest, deferFromClass: number): number {
  return guest.parts.reduce((sum, part) => (part.heatClass >= deferFromClass ? sum + part.bytes : sum), 0);
}
