// SPDX-License-Identifier: Apache-2.0
// How soon pages are written that were not seen written yet. Heat says nothing of them, and where a guest writes all over its memory
// most of what is sent twice are such pages: sent because they were cold, and written for the first time after that.

import type { Observation, PageSummary } from '../model/index.ts';

export interface FirstWrites {
  readonly atMs: number;
  readonly unseenPages: number;
  /** Between the last two looks that were far enough apart, the chance that one is written within a ms; null: not known yet. */
  readonly perMs: number | null;
}

/** Two heat windows: pages are classed at the end of one. */
const LEAST_MS = 400;

/** With one more look. Worked example: 116,000 pages at 800 ms, 115,000 at 1200 ms: ln(116/115) / 400 = 2.2e-5. */
export function stepFirstWrites(
  before: FirstWrites | null,
  { atMs }: Pick<Observation, 'atMs'>,
  { pagesByHeat }: PageSummary,
): FirstWrites {
  const unseenPages = pagesByHeat[0] ?? 0;
  if (before === null) return { atMs, unseenPages, perMs: null };
  const passedMs = atMs - before.atMs;
  if (passedMs < LEAST_MS) return before;
  const perMs = unseenPages === 0 ? 0 : Math.max(0, Math.log(before.unseenPages / unseenPages)) / passedMs;
  return { atMs, unseenPages, perMs };
}

/** Of pages that were not seen written yet, the share that is written within `ms`. */
export function firstWrittenShare(firstWrites: FirstWrites | null, ms: number): number {
  return -Math.expm1(-(firstWrites?.perMs ?? 0) * ms);
}
