// SPDX-License-Identifier: Apache-2.0
// In which order VMs cross one link, one after the other. With the link as the one thing they share, that is one machine and
// many jobs: the sum of weighted completions is least by Smith's rule (weight over length, largest first; Smith 1956), deadlines
// permitting.

import { type Priority, PRIORITY_WEIGHTS } from '../../model/index.ts';

export interface Job {
  readonly name: string;
  readonly priority: Priority;
  readonly deadlineMs: number | null;
  /** How long it takes with the link to itself. */
  readonly lengthMs: number;
  /** Cautiously: what a deadline is held against. */
  readonly highLengthMs: number;
}

export interface Scheduled {
  readonly job: Job;
  readonly endMs: number;
  /** Cautiously, all before it included. */
  readonly highEndMs: number;
  readonly late: boolean;
}

export function scheduleOf(order: readonly Job[], nowMs: number): Scheduled[] {
  let [endMs, highEndMs] = [nowMs, nowMs];
  return order.map((job) => {
    endMs += job.lengthMs;
    highEndMs += job.highLengthMs;
    return { job, endMs, highEndMs, late: job.deadlineMs !== null && highEndMs > job.deadlineMs };
  });
}

/** Fewest late; then least weighted completion, to which what is late adds its lateness once more. */
export function compareSchedules(a: readonly Scheduled[], b: readonly Scheduled[]): number {
  const late = (all: readonly Scheduled[]): number => all.filter((each) => each.late).length;
  const cost = (all: readonly Scheduled[]): number =>
    all.reduce((sum, { job, endMs, highEndMs }) => {
      const latenessMs = job.deadlineMs === null ? 0 : Math.max(0, highEndMs - job.deadlineMs);
      return sum + PRIORITY_WEIGHTS[job.priority] * (endMs + latenessMs);
    }, 0);
  return late(a) - late(b) || cost(a) - cost(b);
}

/** All orders of so many are looked at: 7! = 5040. */
const MOST_EXHAUSTIVE = 7;

function* permutations(jobs: readonly Job[]): Generator<Job[]> {
  if (jobs.length <= 1) {
    yield [...jobs];
    return;
  }
  for (const [i, job] of jobs.entries()) {
    for (const rest of permutations(jobs.toSpliced(i, 1))) yield [job, ...rest];
  }
}

/** Moves single jobs to other places as long as that helps. */
function improve(order: readonly Job[], nowMs: number): Job[] {
  let best = [...order];
  for (let improved = true; improved;) {
    improved = false;
    for (let from = 0; from < best.length; from++) {
      for (let to = 0; to < best.length; to++) {
        const [job] = best.slice(from, from + 1);
        if (job === undefined || from === to) continue;
        const tried = best.toSpliced(from, 1).toSpliced(to, 0, job);
        if (compareSchedules(scheduleOf(tried, nowMs), scheduleOf(best, nowMs)) < 0) {
          best = tried;
          improved = true;
        }
      }
    }
  }
  return best;
}

/**
 * The best order: of a few jobs the best of all, of many what Smith's rule and earliest deadlines first lead to.
 *
 * Lengths 10, 2, 5 (s), priorities high, low, medium: weights over lengths 0.4, 0.5, 0.4: the second, the first, the third.
 */
export function bestOrder(jobs: readonly Job[], nowMs: number): Scheduled[] {
  const smith = jobs.toSorted(
    (a, b) => PRIORITY_WEIGHTS[b.priority] / b.lengthMs - PRIORITY_WEIGHTS[a.priority] / a.lengthMs,
  );
  const earliest = smith.toSorted(
    (a, b) => (a.deadlineMs ?? Number.MAX_SAFE_INTEGER) - (b.deadlineMs ?? Number.MAX_SAFE_INTEGER),
  );
  const candidates = [smith, improve(smith, nowMs), improve(earliest, nowMs)];
  const all = jobs.length <= MOST_EXHAUSTIVE ? permutations(smith) : candidates;
  let best = scheduleOf(smith, nowMs);
  for (const order of all) {
    const tried = scheduleOf(order, nowMs);
    if (compareSchedules(tried, best) < 0) best = tried;
  }
  return best;
}
