// SPDX-License-Identifier: Apache-2.0
// What a controller would see of a simulated migration: the same Observation as of a real one.

import type {
  DirtySample,
  MigrationStatus,
  Observation,
  ObservationKind,
  PageSummary,
} from '../model/index.ts';
import { pagesByHeatOf, type SimulatedGuest } from './guest.ts';
import type { MigrationState } from './state.ts';

const PAGE_BYTES = 4096;
const HEAT_WINDOW_MS = 200;

export interface Sight {
  readonly kind: ObservationKind;
  readonly status: MigrationStatus;
  readonly endedRoundMs: number | null;
  readonly dirtyAtRoundStartBytes: number | null;
  readonly unsentBytes: number | null;
  readonly remainingBytes: number;
  readonly wireBytesPerMs: number;
  readonly pageRequests: number | null;
  readonly destinationResumed: boolean;
  readonly dirtySamples: readonly DirtySample[];
  readonly pages: PageSummary | null;
  readonly showsPages: boolean;
}

/** Before half a second has passed QEMU's figures say nothing of the rate, as in the real controller. */
const BANDWIDTH_KNOWN_MS = 300;

export function observationOf(state: MigrationState, guest: SimulatedGuest, sight: Sight): Observation {
  const bandwidthBytesPerSec = state.nowMs < BANDWIDTH_KNOWN_MS ? null : sight.wireBytesPerMs * 1000;
  // Key by key: a rest of keys made of each sight took a quarter of all simulations' time.
  return {
    kind: sight.kind,
    status: sight.status,
    endedRoundMs: sight.endedRoundMs,
    dirtyAtRoundStartBytes: sight.dirtyAtRoundStartBytes,
    unsentBytes: sight.unsentBytes,
    remainingBytes: sight.remainingBytes,
    pageRequests: sight.pageRequests,
    destinationResumed: sight.destinationResumed,
    dirtySamples: sight.dirtySamples,
    pages: sight.pages,
    showsPages: sight.showsPages,
    atMs: state.nowMs,
    round: state.round,
    roundStartMs: state.roundStartMs,
    totalBytes: guest.memoryBytes,
    transferredBytes: state.transferredBytes,
    zeroBytes: state.zeroBytes,
    bandwidthBytesPerSec,
    lastWindowBytesPerSec: bandwidthBytesPerSec,
    qemuDowntimeMs: null,
    qemuTotalMs: null,
    errorText: null,
  };
}

/** One sync as a patched QEMU shows it. */
export function pagesOf(
  state: MigrationState,
  guest: SimulatedGuest,
  { endsRound, dirtiedBytes, intervalMs }: { endsRound: boolean; dirtiedBytes: number; intervalMs: number },
): PageSummary {
  const dirtiedPages = dirtiedBytes / PAGE_BYTES;
  return {
    pageSizeBytes: PAGE_BYTES,
    intervalMs,
    syncMs: 1,
    dirtiedPages,
    pendingPages: (state.pendingBytes + state.deferredBytes) / PAGE_BYTES,
    deferredPages: state.deferredBytes / PAGE_BYTES,
    endsRound,
    round: endsRound ? { dirtiedPages, persistentPages: null, similarity: null } : null,
    window: null,
    pagesByHeat: pagesByHeatOf(guest, PAGE_BYTES),
    heatWindowMs: HEAT_WINDOW_MS,
    watchedMs: state.nowMs,
  };
}

/** Page sampling during the first round, as the controller has it done: windows in turn, the longest again and again. */
const WINDOWS_MS = [100, 300, 1000];
const BETWEEN_WINDOWS_MS = 40;

export class SimulatedSampler {
  readonly #guest: SimulatedGuest;
  #taken = 0;
  #beginMs: number;

  constructor(guest: SimulatedGuest, beginMs: number) {
    this.#guest = guest;
    this.#beginMs = beginMs;
  }

  /** Those that have ended by now and were not taken yet. */
  take(nowMs: number): DirtySample[] {
    const samples: DirtySample[] = [];
    for (;;) {
      const windowMs = WINDOWS_MS[Math.min(this.#taken, WINDOWS_MS.length - 1)] ?? 1000;
      const endMs = this.#beginMs + windowMs;
      if (endMs + BETWEEN_WINDOWS_MS > nowMs) return samples;
      const dirtyBytes = this.#guest.parts.reduce(
        (sum, part) => sum + part.dirtyBetween(this.#beginMs, endMs),
        0,
      );
      samples.push({ windowMs, dirtyBytes });
      this.#beginMs = endMs + BETWEEN_WINDOWS_MS;
      this.#taken += 1;
    }
  }
}
