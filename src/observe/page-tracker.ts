// SPDX-License-Identifier: Apache-2.0
// Folds the rounds of a patched QEMU's ring into what is known of each page: how hot it is over tenths of a second, which
// tells what to defer, and over hundredths, which tells what the guest touches first. Keeps two bytes and four bits a page.

import { type BitmapKernels, bitmapBytes, heatBytes, type RingRound } from '../bitmap/index.ts';
import { HEAT_CLASSES, heatClassOf, type PageSummary, type RoundSet } from '../model/index.ts';

/**
 * Heat over tenths of a second: eight windows are its memory, so that a guest that is busy and quiet by turns of a second has its
 * pages stay hot through both. Rise and decay make its fixed point 256 times the share of windows in which a page is dirty:
 * h = h - h/8 + 32 f, so h = 256 f.
 */
const HEAT_WINDOW_MS = 200;
const SLOW_SHIFT = 3;

/**
 * The first windows count for as much as there are of them, in powers of two: else a page that is always dirty would look
 * half as hot as it is when the migration begins. Window 1: h = 256 f; 2 and 3: h = h - h/2 + 128 f; 4 to 7: quarters.
 */
function slowStep(window: number): { readonly rise: number; readonly decayShift: number } {
  const decayShift = Math.min(SLOW_SHIFT, Math.floor(Math.log2(window)));
  return { rise: Math.min(255, 256 >> decayShift), decayShift };
}

/** Heat over single short intervals, eight of them: h = h - h/8 + 32 f. */
const SHORT_INTERVAL_MS = 60;
const FAST = { rise: 32, decayShift: 3 };

export interface TrackedBlock {
  readonly name: string;
  readonly pageCount: number;
  readonly slowHeat: Uint8Array;
  readonly fastHeat: Uint8Array;
}

interface BlockState extends TrackedBlock {
  /** Dirtied since the last sync, in the migration's present round and in the one before, and since the heat window began. */
  readonly now: Uint8Array;
  readonly round: Uint8Array;
  readonly lastRound: Uint8Array;
  readonly window: Uint8Array;
}

interface Sums {
  dirtied: number;
  pending: number;
  /** In the heat window that ends. */
  window: number;
}

/**
 * A summary after one that nobody has taken: a round's end that was not looked at yet is still one, with the pages that it
 * dirtied. Of two ends that nobody has looked at the later one counts.
 */
export function withUntaken(untaken: PageSummary | null, next: PageSummary): PageSummary {
  return untaken?.endsRound === true && next.endsRound === false
    ? { ...next, endsRound: true, round: untaken.round }
    : next;
}

export class PageTracker {
  readonly #kernels: BitmapKernels;
  readonly #pageSizeBytes: number;
  #blocks: readonly BlockState[] = [];
  #hasRound = false;
  #windowMs = 0;
  #watchedMs = 0;
  #windows = 0;

  constructor(kernels: BitmapKernels, pageSizeBytes: number) {
    this.#kernels = kernels;
    this.#pageSizeBytes = pageSizeBytes;
  }

  /** What is known of each page, for the choice of pages. */
  get blocks(): readonly TrackedBlock[] {
    return this.#blocks;
  }

  /**
   * Folds a round in. `holds` says afterwards whether what was read of it was whole: if not, nothing is changed and the
   * answer is null. `deferredPages`: dirty and deferred, as QEMU counts them; `endsRound`: whether a round ended with it;
   * both null before a migration.
   */
  add(
    round: RingRound,
    { deferredPages, endsRound }: Pick<PageSummary, 'deferredPages' | 'endsRound'>,
    holds: () => boolean,
  ): PageSummary | null {
    if (this.#blocks.length === 0)
      this.#blocks = round.blocks.map(({ name, pageCount }) => newBlock(name, pageCount));
    const sums: Sums = { dirtied: 0, pending: 0, window: 0 };
    round.blocks.forEach(({ dirtied, pending, pageCount }, i) => {
      const block = this.#blocks[i];
      if (block?.pageCount !== pageCount) return;
      block.now.fill(0);
      this.#kernels.merge(block.now, dirtied, pageCount);
      if (pending !== null) sums.pending += this.#kernels.count(pending, pageCount);
    });
    if (!holds()) return null;
    const intervalMs = round.endMs - round.beginMs;
    this.#windowMs += intervalMs;
    this.#watchedMs += intervalMs;
    const windowEnds = this.#windowMs >= HEAT_WINDOW_MS;
    const windowMs = this.#windowMs;
    if (windowEnds) this.#windows++;
    const { inMigration } = round;
    for (const block of this.#blocks) this.#fold(block, sums, { intervalMs, windowEnds, inMigration });
    if (windowEnds) this.#windowMs = 0;
    return {
      pageSizeBytes: this.#pageSizeBytes,
      intervalMs,
      syncMs: round.syncMs,
      dirtiedPages: sums.dirtied,
      pendingPages: round.inMigration ? sums.pending : null,
      deferredPages,
      endsRound,
      round: endsRound === true ? this.#endRound() : null,
      window: windowEnds ? { windowMs, dirtyBytes: sums.window * this.#pageSizeBytes } : null,
      pagesByHeat: this.#pagesByHeat(),
      heatWindowMs: HEAT_WINDOW_MS,
      watchedMs: this.#watchedMs,
    };
  }

  #fold(
    block: BlockState,
    sums: Sums,
    {
      intervalMs,
      windowEnds,
      inMigration,
    }: { intervalMs: number; windowEnds: boolean; inMigration: boolean },
  ): void {
    const kernels = this.#kernels;
    const { pageCount, now, window } = block;
    sums.dirtied += kernels.count(now, pageCount);
    if (inMigration) kernels.merge(block.round, now, pageCount);
    kernels.merge(window, now, pageCount);
    if (intervalMs <= SHORT_INTERVAL_MS) {
      kernels.heat(block.fastHeat, now, pageCount, FAST.rise, FAST.decayShift);
    }
    if (windowEnds) {
      sums.window += kernels.count(window, pageCount);
      const { rise, decayShift } = slowStep(this.#windows);
      kernels.heat(block.slowHeat, window, pageCount, rise, decayShift);
      window.fill(0);
    }
  }

  /** What the round that is over has dirtied, beside the one before; the next one begins. */
  #endRound(): RoundSet {
    const kernels = this.#kernels;
    let [dirtiedPages, inBoth, inEither] = [0, 0, 0];
    for (const { round, lastRound, pageCount } of this.#blocks) {
      dirtiedPages += kernels.count(round, pageCount);
      inBoth += kernels.countAnd(round, lastRound, pageCount);
      inEither += kernels.countOr(round, lastRound, pageCount);
      lastRound.set(round);
      round.fill(0);
    }
    const isFirst = !this.#hasRound;
    this.#hasRound = true;
    return {
      dirtiedPages,
      persistentPages: isFirst ? null : inBoth,
      similarity: isFirst ? null : inEither === 0 ? 1 : inBoth / inEither,
    };
  }

  #pagesByHeat(): number[] {
    const counts = new Uint32Array(256);
    for (const { slowHeat, pageCount } of this.#blocks) this.#kernels.countHeat(slowHeat, pageCount, counts);
    const classes = new Array<number>(HEAT_CLASSES).fill(0);
    counts.forEach((pages, heat) => (classes[heatClassOf(heat)] = (classes[heatClassOf(heat)] ?? 0) + pages));
    return classes;
  }
}

function newBlock(name: string, pageCount: number): BlockState {
  const bits = (): Uint8Array => new Uint8Array(bitmapBytes(pageCount));
  const heat = (): Uint8Array => new Uint8Array(heatBytes(pageCount));
  return {
    name,
    pageCount,
    slowHeat: heat(),
    fastHeat: heat(),
    now: bits(),
    round: bits(),
    lastRound: bits(),
    window: bits(),
  };
}
