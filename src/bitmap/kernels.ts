// SPDX-License-Identifier: Apache-2.0
// What is done to sets of pages. A set is a bitmap: page p is bit p % 8 of byte p / 8. The native addon and its plain
// JavaScript twin give the same results; the twin is slower.

/**
 * Bitmaps hold at least `bits` bits in whole groups of 8 bytes and begin at a multiple of 8 bytes; bits beyond are
 * ignored. Nothing but the result is allocated.
 */
export interface BitmapKernels {
  /** Which CPU they are for: `avx2`, `scalar`, `javascript`. */
  readonly name: string;

  /** Pages in the set. */
  count(a: Uint8Array, bits: number): number;
  /** Pages in both. */
  countAnd(a: Uint8Array, b: Uint8Array, bits: number): number;
  /** Pages in one or both. */
  countOr(a: Uint8Array, b: Uint8Array, bits: number): number;
  /** Pages in `a` and not in `b`. */
  countAndNot(a: Uint8Array, b: Uint8Array, bits: number): number;

  /** Adds the pages of `from` to `into`, the bits beyond the last page as they are. */
  merge(into: Uint8Array, from: Uint8Array, bits: number): void;

  /**
   * One step of heat, a byte per page (`heat` has 64 for every group of 8 bytes of the bitmap): it decays by
   * heat >> decayShift (0 to 8; 0 forgets all of it, 8 nothing), then rises by `rise` where the page is dirty, up to 255.
   * Worked example: rise 32, decayShift 3, dirty at every step: 32, 60, 85, 107, ... up to 255.
   */
  heat(heat: Uint8Array, dirty: Uint8Array, bits: number, rise: number, decayShift: number): void;

  /** Adds to counts[h], h = 0 to 255, the pages whose heat is h. */
  countHeat(heat: Uint8Array, bits: number, counts: Uint32Array): void;

  /** The pages whose heat is at least `least`, as a set in `out`. */
  hotter(heat: Uint8Array, bits: number, least: number, out: Uint8Array): void;

  /**
   * Runs of pages from page `from` on as pairs (first page, pages) in `out`; how many pairs. As many as there is room for
   * means that there may be more, after the last one.
   */
  extents(a: Uint8Array, bits: number, from: number, out: Uint32Array): number;

  /** The pages of `within` in `out`, the hottest first, equally hot ones by number; how many, at most what fits. */
  order(heat: Uint8Array, within: Uint8Array, bits: number, out: Uint32Array): number;

  /**
   * One step of reuse times. `lastRound` holds per page the round in which it was dirty last (0: never); round counts
   * from 1. histogram[n] counts the pages that are dirty again after n rounds, its last entry those after longer ones
   * too, histogram[0] those that are dirty for the first time.
   */
  reuse(lastRound: Uint32Array, dirty: Uint8Array, bits: number, round: number, histogram: Uint32Array): void;
}

/** The bytes of a bitmap for so many pages: whole groups of 8. */
export function bitmapBytes(pageCount: number): number {
  return Math.ceil(pageCount / 64) * 8;
}

/** The bytes of heat for so many pages: one for each bit of its bitmap. */
export function heatBytes(pageCount: number): number {
  return Math.ceil(pageCount / 64) * 64;
}
