// SPDX-License-Identifier: Apache-2.0
// What is still to do of a plan, from nothing but the records that there are: whoever carries an experiment out may be
// killed at any moment and go on.

import type { PlannedRun } from './expand.ts';
import { groupBy } from '../common/index.ts';
import { cellKey, runKey } from './run-key.ts';
import type { RunRecord } from './run-record.ts';

/** How often a run is tried that the machine disturbs, where the experiment does not say. */
export const DEFAULT_ATTEMPTS = 3;

/** How often a run is tried that could not be carried out: what is broken is rarely mended by waiting. */
export const MAX_FAILED_ATTEMPTS = 2;

/** With so many capped runs at its beginning the rest of a cell is not run. */
export const HOPELESS_RUNS = 2;

/**
 * `done`: an attempt counts, or no more are made. `hopeless`: not run, because the cell's first two runs both hit the
 * cap; results say so. `open`: still to do.
 */
export interface RunState {
  readonly run: PlannedRun;
  readonly state: 'done' | 'hopeless' | 'open';
  /** In the order they were made. */
  readonly attempts: readonly RunRecord[];
}

function isUndisturbed(record: RunRecord): boolean {
  return record.outcome !== 'failed' && record.disturbances.length === 0;
}

/** No more attempts are made at the run that these are of. */
function isSettled(attempts: readonly RunRecord[], maxAttempts: number): boolean {
  const failed = attempts.filter(({ outcome }) => outcome === 'failed').length;
  return (
    attempts.some(isUndisturbed) ||
    attempts.length - failed >= maxAttempts ||
    failed >= MAX_FAILED_ATTEMPTS ||
    attempts.length >= Math.max(maxAttempts, MAX_FAILED_ATTEMPTS)
  );
}

/** Of one run's attempts the one that counts. A disturbed run tells more than one that could not be carried out. */
function countingAttempt(attempts: readonly RunRecord[]): RunRecord | undefined {
  return (
    attempts.find(isUndisturbed) ??
    attempts.findLast(({ outcome }) => outcome !== 'failed') ??
    attempts.at(-1)
  );
}

function attemptsByRun(records: readonly RunRecord[]): Map<string, RunRecord[]> {
  return groupBy(
    [...records].sort((a, b) => a.attempt - b.attempt),
    runKey,
  );
}

/** Per run the attempt that counts: the first undisturbed, else the last that was carried out, else the last. */
export function latestAttempts(records: readonly RunRecord[]): RunRecord[] {
  return [...attemptsByRun(records).values()].flatMap((attempts) => countingAttempt(attempts) ?? []);
}

/**
 * Whether the rest of a cell need not be run: the first two of its runs, by repeat, both hit the cap. Runs with
 * attempts still to come and runs that could not be carried out say nothing. `records` are those of one cell.
 */
export function cellIsHopeless(records: readonly RunRecord[], maxAttempts = DEFAULT_ATTEMPTS): boolean {
  const first = [...attemptsByRun(records).values()]
    .filter((attempts) => isSettled(attempts, maxAttempts))
    .flatMap((attempts) => countingAttempt(attempts) ?? [])
    .filter(({ outcome }) => outcome !== 'failed')
    .sort((a, b) => a.repeat - b.repeat)
    .slice(0, HOPELESS_RUNS);
  return first.length === HOPELESS_RUNS && first.every(({ capped }) => capped);
}

/** How each run of the plan stands. Records of runs that are not in it count only towards their cells. */
export function runStates(
  plan: readonly PlannedRun[],
  records: readonly RunRecord[],
  maxAttempts = DEFAULT_ATTEMPTS,
): RunState[] {
  const byRun = attemptsByRun(records);
  const byCell = groupBy(
    records.filter(({ kind }) => kind !== 'control'),
    ({ guest, link, policy }) => cellKey(guest, link, policy),
  );
  const hopeless = new Set(
    [...byCell].filter(([, cell]) => cellIsHopeless(cell, maxAttempts)).map(([key]) => key),
  );
  return plan.map((run) => {
    const attempts = byRun.get(run.key) ?? [];
    if (isSettled(attempts, maxAttempts)) return { run, state: 'done', attempts };
    return { run, state: hopeless.has(run.cell) ? 'hopeless' : 'open', attempts };
  });
}

/** The run to carry out next, and the number of that attempt; null when nothing is left. */
export function nextRun(
  plan: readonly PlannedRun[],
  records: readonly RunRecord[],
  maxAttempts = DEFAULT_ATTEMPTS,
): { readonly run: PlannedRun; readonly attempt: number } | null {
  const open = runStates(plan, records, maxAttempts).find(({ state }) => state === 'open');
  if (open === undefined) return null;
  return { run: open.run, attempt: (open.attempts.at(-1)?.attempt ?? -1) + 1 };
}
