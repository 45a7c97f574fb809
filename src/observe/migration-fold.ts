// SPDX-License-Identifier: Apache-2.0
// Folds query-migrate replies and MIGRATION_PASS times into Observations. Pure: times are passed in.

import type {
  DirtySample,
  MigrationStatus,
  Observation,
  ObservationKind,
  PageSummary,
} from '../model/index.ts';
import type { MigrationInfo } from './migration-info.ts';

interface TransferPoint {
  readonly atMs: number;
  readonly transferredBytes: number;
  readonly zeroBytes: number;
  readonly normalBytes: number;
  readonly remainingBytes: number | null;
  readonly round: number;
}

export interface ObserveState {
  readonly status: MigrationStatus | null;
  readonly round: number;
  readonly roundStartMs: number;
  /** When each of the last rounds began, by MIGRATION_PASS. */
  readonly passTimes: ReadonlyMap<number, number>;
  readonly transfers: readonly TransferPoint[];
  readonly bandwidthBytesPerSec: number | null;
  /** The round whose dirty size has been read race-free. */
  readonly refinedRound: number;
}

export interface Reading {
  readonly info: MigrationInfo;
  /** When the reply arrived. */
  readonly atMs: number;
  readonly dirtySamples: readonly DirtySample[];
  /** What a patched QEMU shows of the last sync, where that is new. */
  readonly pages: PageSummary | null;
  /** Whether it shows them at all: then they tell where rounds end. */
  readonly showsPages: boolean;
  /** Whether the destination has said RESUME; null when nobody listens to it. */
  readonly destinationResumed: boolean | null;
  /** avail-switchover-bandwidth in force; QEMU then divides by it instead of by its own measurement. */
  readonly switchoverBytesPerSec: number | null;
}

const BANDWIDTH_WINDOW_MS = 2000;
const BANDWIDTH_MIN_WINDOW_MS = 300;
// QEMU renews expected-downtime every 100 ms; younger than this it may still speak of the round before.
const REFINE_AFTER_MS = 150;

export function initObserve(atMs: number): ObserveState {
  return {
    status: null,
    round: 0,
    roundStartMs: atMs,
    passTimes: new Map(),
    transfers: [],
    bandwidthBytesPerSec: null,
    refinedRound: 0,
  };
}

/** A MIGRATION_PASS event: round `pass` began at `atMs`. */
export function foldPass(state: ObserveState, pass: number, atMs: number): ObserveState {
  const passTimes = new Map([...state.passTimes].filter(([known]) => known >= pass - 3));
  return { ...state, passTimes: passTimes.set(pass, atMs) };
}

function foldTransfer(
  state: ObserveState,
  reading: Reading,
): Pick<ObserveState, 'transfers' | 'bandwidthBytesPerSec'> {
  const { info, atMs } = reading;
  if (info.transferredBytes === null) return state;
  const newest: TransferPoint = {
    atMs,
    transferredBytes: info.transferredBytes,
    zeroBytes: info.zeroBytes ?? 0,
    normalBytes: info.normalBytes ?? 0,
    remainingBytes: info.remainingBytes,
    round: info.round,
  };
  // Keep one point older than the window, so that the window is always covered.
  const firstInside = state.transfers.findIndex((point) => point.atMs > atMs - BANDWIDTH_WINDOW_MS);
  const kept = firstInside > 0 ? state.transfers.slice(firstInside - 1) : state.transfers;
  const transfers = [...kept, newest];
  const oldest = transfers[0];
  if (oldest === undefined || atMs - oldest.atMs < BANDWIDTH_MIN_WINDOW_MS) {
    return { transfers, bandwidthBytesPerSec: state.bandwidthBytesPerSec };
  }
  // While QEMU runs over zero pages the link idles: that rate says nothing about the link.
  const mostlyZero = newest.zeroBytes - oldest.zeroBytes > newest.normalBytes - oldest.normalBytes;
  if (mostlyZero && state.bandwidthBytesPerSec !== null) {
    return { transfers, bandwidthBytesPerSec: state.bandwidthBytesPerSec };
  }
  const rate = ((newest.transferredBytes - oldest.transferredBytes) / (atMs - oldest.atMs)) * 1000;
  return { transfers, bandwidthBytesPerSec: rate > 0 ? rate : state.bandwidthBytesPerSec };
}

/**
 * Dirty bytes at the last sync, race-free: QEMU computes expected-downtime = those bytes / bandwidth, with the same
 * bandwidth that it reports. Worked example: 3123 ms at 268.57 Mbit/s = 33.57 MB/s: 104.8 MB.
 */
function dirtyAtLastSync(reading: Reading): number | null {
  const { info } = reading;
  const rate = reading.switchoverBytesPerSec ?? info.lastWindowBytesPerSec;
  if (info.expectedDowntimeMs === null || info.expectedDowntimeMs === 0 || rate === null || rate === 0) {
    return null;
  }
  return (info.expectedDowntimeMs / 1000) * rate;
}

/**
 * What the round before has left unsent when this one began: what remained at the last look at it, less what was sent from
 * then until its end. Worked example: 27.4 MB left 11 ms before the end at 117 MB/s: 26.1 MB.
 */
function unsentAt(
  before: ObserveState,
  reading: Reading,
  roundStartMs: number,
  bandwidth: number,
): number | null {
  const last = before.transfers.at(-1);
  const { info, atMs } = reading;
  const remainingBytes = last?.remainingBytes ?? null;
  if (last === undefined || remainingBytes === null || info.normalBytes === null) return null;
  if (last.round !== info.round - 1) return null;
  const pagesSent = info.normalBytes + (info.zeroBytes ?? 0) - last.normalBytes - last.zeroBytes;
  const sinceBytes = (bandwidth * Math.max(0, atMs - roundStartMs)) / 1000;
  return Math.max(0, remainingBytes - Math.max(0, pagesSent - sinceBytes));
}

/** One reply folded in. */
export function foldReading(
  before: ObserveState,
  reading: Reading,
): { state: ObserveState; observation: Observation } {
  const { info, atMs } = reading;
  const transfer = foldTransfer(before, reading);
  // A patched QEMU can be had to sync in the middle of a round, and its pages follow its count of syncs.
  const { pages, showsPages } = reading;
  const isNew = info.round > before.round;
  const isBoundary = isNew && (!showsPages || pages?.endsRound === true);
  const passMs = before.passTimes.get(info.round);
  const roundStartMs = isBoundary ? (passMs ?? atMs) : before.roundStartMs;

  let endedRoundMs: number | null = null;
  let dirtyAtRoundStartBytes: number | null = null;
  let unsentBytes: number | null = null;
  let { refinedRound } = before;
  if (isBoundary && info.round >= 2) {
    const previousMs =
      before.passTimes.get(info.round - 1) ??
      (info.round === before.round + 1 ? before.roundStartMs : undefined);
    if (previousMs !== undefined && roundStartMs > previousMs) endedRoundMs = roundStartMs - previousMs;
    if (pages !== null) {
      // Pages that are left out of the rounds are among them, and say nothing of the round.
      const isWhole = pages.deferredPages === 0 && pages.pendingPages !== null;
      dirtyAtRoundStartBytes = isWhole ? pages.pendingPages * pages.pageSizeBytes : null;
      unsentBytes = isWhole
        ? Math.max(0, pages.pendingPages - pages.dirtiedPages) * pages.pageSizeBytes
        : null;
    } else if (info.remainingBytes !== null) {
      // What was sent between the sync and the reply is no longer in `remaining`.
      const lagMs = Math.max(0, atMs - roundStartMs);
      const bandwidth = transfer.bandwidthBytesPerSec ?? 0;
      dirtyAtRoundStartBytes = info.remainingBytes + (bandwidth * lagMs) / 1000;
      unsentBytes = unsentAt(before, reading, roundStartMs, bandwidth);
    }
  } else if (
    !showsPages &&
    info.round >= 2 &&
    refinedRound < info.round &&
    info.status === 'active' &&
    atMs - roundStartMs > REFINE_AFTER_MS
  ) {
    dirtyAtRoundStartBytes = dirtyAtLastSync(reading);
    refinedRound = info.round;
  }
  const statusChanged = info.status !== before.status;
  const kind: ObservationKind = isBoundary ? 'round' : statusChanged ? 'status' : 'sample';
  return {
    state: {
      ...before,
      ...transfer,
      status: info.status,
      round: isNew && !(showsPages && pages === null) ? info.round : before.round,
      roundStartMs,
      refinedRound,
    },
    observation: {
      kind,
      atMs,
      status: info.status,
      round: info.round,
      roundStartMs,
      endedRoundMs,
      dirtyAtRoundStartBytes,
      unsentBytes,
      remainingBytes: info.remainingBytes,
      totalBytes: info.totalBytes,
      transferredBytes: info.transferredBytes,
      zeroBytes: info.zeroBytes,
      bandwidthBytesPerSec: transfer.bandwidthBytesPerSec,
      lastWindowBytesPerSec: info.lastWindowBytesPerSec,
      pageRequests: info.pageRequests,
      destinationResumed: reading.destinationResumed,
      qemuDowntimeMs: info.downtimeMs,
      qemuTotalMs: info.totalMs,
      dirtySamples: reading.dirtySamples,
      pages,
      showsPages,
      errorText: info.errorText,
    },
  };
}
