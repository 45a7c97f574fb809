// SPDX-License-Identifier: Apache-2.0
// What a test guest's writer does to its memory, as data. Rates count whole pages dirtied per second, also where a visit
// rewrites only eight bytes of a page.

export interface PatternWindow {
  /** The memory that is written, in whole pages of 4 KiB. */
  readonly setBytes: number;
  readonly rateBytesPerSec: number;
  /** Where the window begins in the arena; 0 when absent. */
  readonly offsetBytes?: number;
  /** Bytes rewritten a visit: the whole page (default), or its counter only, for rates beyond some 600 MiB/s. */
  readonly touchBytes?: 8 | 4096;
}

export interface IdlePattern {
  readonly kind: 'idle';
}

/** The same set again and again, in order or at random. */
export interface SteadyPattern extends PatternWindow {
  readonly kind: 'steady';
  readonly order?: 'seq' | 'random';
}

/** A window that moves on by `stepBytes` after each pass over it. */
export interface DriftPattern extends PatternWindow {
  readonly kind: 'drift';
  readonly stepBytes: number;
  readonly order?: 'seq' | 'random';
}

/** Some pages far more often than others: the n-th in proportion to n^-exponent. */
export interface ZipfPattern extends PatternWindow {
  readonly kind: 'zipf';
  readonly exponent: number;
}

/** Visits of which only the share `writesRatio` writes. The rate counts visits. */
export interface ReadMostlyPattern extends PatternWindow {
  readonly kind: 'readmostly';
  readonly writesRatio: number;
  readonly order?: 'seq' | 'random';
}

/** Writing for `onMs`, nothing for `offMs`, and so on. */
export interface BurstPattern extends PatternWindow {
  readonly kind: 'burst';
  readonly onMs: number;
  readonly offMs: number;
  readonly order?: 'seq' | 'random';
}

export type SegmentPattern = IdlePattern | SteadyPattern | DriftPattern | ZipfPattern | ReadMostlyPattern;

export interface Phase {
  readonly forMs: number;
  readonly pattern: SegmentPattern;
}

/** Segments one after the other, from the first again after the last. */
export interface PhasesPattern {
  readonly kind: 'phases';
  readonly phases: readonly Phase[];
}

export type WritePattern = SegmentPattern | BurstPattern | PhasesPattern;
