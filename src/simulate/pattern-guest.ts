// SPDX-License-Identifier: Apache-2.0
// A synthetic guest: the write patterns of the testbed's workloads as formulas instead of programs.

import type { SegmentPattern, WritePattern } from '../experiment/index.ts';
import { heatClassOfShare, type MemoryPart, type SimulatedGuest } from './guest.ts';

/** Pages that are written equally often: how much memory, and how often each of them is visited per ms. */
interface Share {
  readonly bytes: number;
  readonly visitsPerMs: number;
  /** Visited in turn, so that none is met twice before all are; else at random. */
  readonly inOrder: boolean;
}

const PAGE_BYTES = 4096;
const HEAT_WINDOW_MS = 200;
/** An emulated CPU that does nothing else writes whole pages about that fast; measured, testbed/guest. */
const FULL_BYTES_PER_SEC = 600 * 1024 * 1024;
const LEAST_BUSY_RATIO = 0.02;
/** Ranks of a Zipf pattern are taken together in so many groups, each twice as long as the one before. */
const ZIPF_GROUPS = 24;

/** Memory that the kernel of a test guest never touches: measured, 24 MiB of 208 and 29 of 512. */
export function testGuestZeroBytes(memoryBytes: number): number {
  return Math.min(24 * 1024 * 1024, memoryBytes / 4);
}

/** Distinct bytes written within so long: in turn min(1, v t) of the pages, at random 1 - e^(-v t). */
function writtenWithin({ bytes, visitsPerMs, inOrder }: Share, ms: number): number {
  const visits = visitsPerMs * ms;
  return bytes * (inOrder ? Math.min(1, visits) : -Math.expm1(-visits));
}

/** The n-th page is visited in proportion to n^-s; groups of ranks stand for their mean. */
function zipfShares(setBytes: number, visitsPerMs: number, exponent: number): Share[] {
  const pages = Math.max(1, Math.round(setBytes / PAGE_BYTES));
  const groups: { readonly pages: number; readonly weight: number }[] = [];
  for (let from = 1; from <= pages && groups.length < ZIPF_GROUPS;) {
    const isLast = groups.length === ZIPF_GROUPS - 1;
    const to = isLast ? pages : Math.min(pages, 2 * from - 1);
    // The integral of n^-s from half a rank before the first to half a rank after the last.
    const power = 1 - exponent;
    const [low, high] = [from - 0.5, to + 0.5];
    const weight = Math.abs(power) < 1e-9 ? Math.log(high / low) : (high ** power - low ** power) / power;
    groups.push({ pages: to - from + 1, weight });
    from = to + 1;
  }
  const total = groups.reduce((sum, { weight }) => sum + weight, 0);
  return groups.map((group) => ({
    bytes: group.pages * PAGE_BYTES,
    visitsPerMs: (visitsPerMs * group.weight) / total / group.pages,
    inOrder: false,
  }));
}

function sharesOf(pattern: SegmentPattern): Share[] {
  if (pattern.kind === 'idle') return [];
  const { setBytes, rateBytesPerSec } = pattern;
  const bytesPerMs = rateBytesPerSec / 1000;
  const visitsPerMs = bytesPerMs / setBytes;
  switch (pattern.kind) {
    case 'steady':
    case 'drift':
      return [{ bytes: setBytes, visitsPerMs, inOrder: pattern.order !== 'random' }];
    case 'readmostly':
      // Which visit writes is drawn: a page is written at random even where it is visited in turn.
      return [{ bytes: setBytes, visitsPerMs: visitsPerMs * pattern.writesRatio, inOrder: false }];
    case 'zipf':
      return zipfShares(setBytes, bytesPerMs / PAGE_BYTES, pattern.exponent);
  }
}

/** What a window that moves on leaves behind: a step after each pass. */
function driftBytesPerMs(pattern: SegmentPattern): number {
  return pattern.kind === 'drift'
    ? (pattern.stepBytes / pattern.setBytes) * (pattern.rateBytesPerSec / 1000)
    : 0;
}

/** How long a pattern is at work between two moments; its own time counts nothing else. */
type Working = (fromMs: number, toMs: number) => number;

const ALWAYS: Working = (fromMs, toMs) => toMs - fromMs;

/** On for a while in each turn, from `delayMs` of it on. */
function inTurns(turnMs: number, delayMs: number, onMs: number, phaseMs: number): Working {
  const until = (atMs: number): number => {
    const shifted = atMs + phaseMs - delayMs;
    const turns = Math.floor(shifted / turnMs);
    return turns * onMs + Math.min(onMs, shifted - turns * turnMs);
  };
  return (fromMs, toMs) => until(toMs) - until(fromMs);
}

function partsOf(pattern: SegmentPattern, working: Working, memoryBytes: number): MemoryPart[] {
  const parts: MemoryPart[] = sharesOf(pattern).map((share) => ({
    bytes: share.bytes,
    heatClass: heatClassOfShare(writtenWithin(share, HEAT_WINDOW_MS) / share.bytes),
    dirtyBetween: (fromMs, toMs) => writtenWithin(share, working(fromMs, toMs)),
  }));
  const drift = driftBytesPerMs(pattern);
  if (drift > 0) {
    const bytes = Math.max(0, memoryBytes - parts.reduce((sum, part) => sum + part.bytes, 0));
    parts.push({
      bytes,
      heatClass: 0,
      dirtyBetween: (fromMs, toMs) => Math.min(bytes, drift * working(fromMs, toMs)),
    });
  }
  return parts;
}

/**
 * The guest that writes so. `phaseMs`: how far into its first turn a pattern of phases or bursts is at 0. Phases are taken
 * to write memory of their own; those of the testbed's workloads that share it differ so much in size that it makes no odds.
 */
export function guestOfPattern(
  memoryBytes: number,
  zeroBytes: number,
  pattern: WritePattern,
  phaseMs = 0,
): SimulatedGuest {
  const busyRatio = Math.min(1, Math.max(LEAST_BUSY_RATIO, highestRate(pattern) / FULL_BYTES_PER_SEC));
  const guest = (parts: readonly MemoryPart[]): SimulatedGuest => ({
    memoryBytes,
    zeroBytes,
    busyRatio,
    parts,
  });
  if (pattern.kind === 'burst') {
    const { onMs, offMs } = pattern;
    const working = inTurns(onMs + offMs, 0, onMs, phaseMs);
    return guest(partsOf({ ...pattern, kind: 'steady' }, working, memoryBytes));
  }
  if (pattern.kind !== 'phases') return guest(partsOf(pattern, ALWAYS, memoryBytes));
  const turnMs = pattern.phases.reduce((sum, { forMs }) => sum + forMs, 0);
  let delayMs = 0;
  return guest(
    pattern.phases.flatMap((phase) => {
      const working = inTurns(turnMs, delayMs, phase.forMs, phaseMs);
      delayMs += phase.forMs;
      return partsOf(phase.pattern, working, memoryBytes);
    }),
  );
}

function highestRate(pattern: WritePattern): number {
  if (pattern.kind === 'idle') return 0;
  if (pattern.kind === 'phases')
    return Math.max(...pattern.phases.map((phase) => highestRate(phase.pattern)));
  return pattern.rateBytesPerSec;
}
