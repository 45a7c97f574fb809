// SPDX-License-Identifier: Apache-2.0
// When the writable working set of a static guest has converged: the same set of pages becomes dirty in several successive
// rounds, so that one more round leaves what the last one left. With W_i the pages dirtied in round i:
//
//     Jaccard = |W_i and W_(i-1)| / |W_i or W_(i-1)| >= 0.9   and   | |W_i| - |W_(i-1)| | <= 0.04 |W_(i-1)|
//
// in two successive rounds. Worked example: rounds of 1000, 980 and 990 pages, of which 960 and 965 again:
// 960 / 1020 = 0.94 and 965 / 1005 = 0.96, sizes within 2 and 1 %: converged after the third.

import type { RoundSet, WorkingSetConfig } from '../model/index.ts';

export const DEFAULT_WORKING_SET: WorkingSetConfig = {
  minSimilarity: 0.9,
  maxSizeChangeRatio: 0.04,
  rounds: 2,
};

export interface WorkingSetState {
  /** |W_i| of the last round; null before the first. */
  readonly dirtiedPages: number | null;
  /** Rounds in a row that were like the one before. */
  readonly alikeRounds: number;
}

export const initialWorkingSet: WorkingSetState = { dirtiedPages: null, alikeRounds: 0 };

/** Folds the set of a round in. */
export function stepWorkingSet(
  { dirtiedPages: before, alikeRounds }: WorkingSetState,
  { dirtiedPages, similarity }: RoundSet,
  { minSimilarity, maxSizeChangeRatio }: WorkingSetConfig,
): WorkingSetState {
  const isAlike =
    before !== null &&
    similarity !== null &&
    similarity >= minSimilarity &&
    Math.abs(dirtiedPages - before) <= maxSizeChangeRatio * before;
  return { dirtiedPages, alikeRounds: isAlike ? alikeRounds + 1 : 0 };
}

/** Whether it has converged; null as long as no round was seen. */
export function hasConverged(
  { dirtiedPages, alikeRounds }: WorkingSetState,
  { rounds }: WorkingSetConfig,
): boolean | null {
  return dirtiedPages === null ? null : alikeRounds >= rounds;
}
