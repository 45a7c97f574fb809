// SPDX-License-Identifier: Apache-2.0
// KubeVirt VEP 248, the stall detector: has the dirty set at round boundaries stopped shrinking for 40 s, and is this
// boundary as good a moment as has been seen? A pure fold over boundaries, without any action.

/** The code's default; the VEP's text says 60 s. */
export const STALL_WINDOW_MS = 40_000;
const MARGIN = 0.04;
const PATIENCE_DECAY = 0.5;

// Boundaries come with the fractions of a scaled clock.
const CLOCK_GRAIN_MS = 1e-3;

interface Mark {
  readonly atMs: number;
  readonly bytes: number;
}

/** What is kept once a stall was found. */
export interface Stall {
  readonly bestBytes: number;
  /** Remaining bytes of the boundaries since, smallest first. */
  readonly later: readonly number[];
  readonly deadlineMs: number;
  readonly patienceMs: number;
}

export interface StallDetector {
  /** Boundaries of the last 40 s that may become the minimum, strictly decreasing. */
  readonly candidates: readonly Mark[];
  /** The smallest of the boundaries that are older; null: there is none yet. */
  readonly oldMinimumBytes: number | null;
  readonly stall: Stall | null;
}

export const freshDetector: StallDetector = { candidates: [], oldMinimumBytes: null, stall: null };

/** Keeps the two lists: what is 40 s old leaves the candidates for the old minimum. */
function withMark(detector: StallDetector, mark: Mark): StallDetector {
  let { oldMinimumBytes } = detector;
  const aged = ({ atMs }: Mark): boolean => mark.atMs - atMs >= STALL_WINDOW_MS - CLOCK_GRAIN_MS;
  for (const { bytes } of detector.candidates.filter(aged)) {
    if (oldMinimumBytes === null || bytes < oldMinimumBytes) oldMinimumBytes = bytes;
  }
  const kept = detector.candidates.filter((candidate) => !aged(candidate));
  const last = kept.at(-1);
  const useless =
    (oldMinimumBytes !== null && mark.bytes > oldMinimumBytes) ||
    (last !== undefined && mark.bytes >= last.bytes);
  return { ...detector, oldMinimumBytes, candidates: useless ? kept : [...kept, mark] };
}

/** After each patience that ran out, the best is the smallest boundary not used before, and patience is halved. */
function relax(stall: Stall, { atMs, bytes }: Mark): Stall {
  const later = [...stall.later, bytes].sort((a, b) => a - b);
  if (atMs < stall.deadlineMs - CLOCK_GRAIN_MS) return { ...stall, later };
  const [smallest = bytes, ...rest] = later;
  const patienceMs = stall.patienceMs * PATIENCE_DECAY;
  return { bestBytes: smallest, later: rest, patienceMs, deadlineMs: atMs + patienceMs };
}

/** One boundary folded in: R remaining bytes at `atMs`. */
export function stepDetector(before: StallDetector, remainingBytes: number, atMs: number): StallDetector {
  const mark = { atMs, bytes: remainingBytes };
  const detector = withMark(before, mark);
  if (detector.stall !== null) return { ...detector, stall: relax(detector.stall, mark) };
  const { oldMinimumBytes } = detector;
  if (oldMinimumBytes === null || remainingBytes < Math.floor(oldMinimumBytes * (1 - MARGIN)))
    return detector;
  const bestBytes = Math.min(oldMinimumBytes, ...detector.candidates.map(({ bytes }) => bytes));
  const stall = { bestBytes, later: [], deadlineMs: atMs + STALL_WINDOW_MS, patienceMs: STALL_WINDOW_MS };
  return { ...detector, stall };
}

/** Within 4 % of the best: a moment to switch over. */
export function isGoodMoment({ bestBytes }: Stall, remainingBytes: number): boolean {
  return remainingBytes <= Math.floor(bestBytes * (1 + MARGIN));
}
