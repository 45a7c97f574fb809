// SPDX-License-Identifier: Apache-2.0
// What the key-value load generator says, as typed values, and the figures of any stretch of it. Field names and buckets
// are those of native/host/kvload-rows.c. Times are CLOCK_MONOTONIC, the clock of process.hrtime.

import type { AppFigures } from '../../src/experiment/index.ts';
import { MeasureError } from '../errors.ts';

/** 100 ms of the schedule. Latencies count from when a request was due, not from when it could be sent. */
export interface KvloadRow {
  readonly atMonotonicMs: number;
  /** Right answers that came in these 100 ms, whenever they were due. */
  readonly completed: number;
  /** Of the requests due in these 100 ms: right answers, and the others (error replies, lost connections, wrong answers). */
  readonly count: number;
  readonly errors: number;
  /** Of the errors: answers that were not what the record must hold. */
  readonly wrong: number;
  /** Due, but not answered when the generator was stopped: the server was behind. In none of the above. */
  readonly unanswered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How late the generator itself sent a request, at worst. */
  readonly ownDelayMs: number;
  /** Buckets and how many latencies fell into each. */
  readonly histogram: readonly (readonly [bucket: number, count: number])[];
}

export const ROW_MS = 100;
const SUB_BUCKETS = 32;

/** The middle of a bucket: 32 of a microsecond each, then 32 for each doubling. */
export function bucketMs(bucket: number): number {
  const exponent = Math.max(0, Math.floor(bucket / SUB_BUCKETS) - 1);
  const lowest = bucket < SUB_BUCKETS ? bucket : SUB_BUCKETS + (bucket % SUB_BUCKETS);
  return ((lowest + 0.5) * 2 ** exponent) / 1000;
}

/** The sum of histograms, in the order of the buckets. */
export function mergeHistograms(
  histograms: readonly KvloadRow['histogram'][],
): (readonly [bucket: number, count: number])[] {
  const merged = new Map<number, number>();
  for (const histogram of histograms) {
    for (const [bucket, count] of histogram) merged.set(bucket, (merged.get(bucket) ?? 0) + count);
  }
  return [...merged].sort(([a], [b]) => a - b);
}

/** The latency that the share `ratio` of all does not exceed, to 3 %; null where there is none. */
export function quantileMs(histogram: KvloadRow['histogram'], ratio: number): number | null {
  const total = histogram.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of histogram) {
    seen += count;
    if (seen >= Math.max(1, ratio * total)) return bucketMs(bucket);
  }
  return null;
}

/**
 * The figures of a stretch of time; a row belongs to it when its middle does. Requests per second counts answers that came
 * within it; latencies and errors are those of the requests that were due within it, however late they were answered. Null
 * where no row is within, or none of its requests was answered: then there is no latency.
 */
export function appFigures(
  rows: readonly KvloadRow[],
  fromMonotonicMs: number,
  toMonotonicMs: number,
): AppFigures | null {
  const within = rows.filter(({ atMonotonicMs }) => {
    const middleMs = atMonotonicMs + ROW_MS / 2;
    return middleMs >= fromMonotonicMs && middleMs < toMonotonicMs;
  });
  const histogram = mergeHistograms(within.map((row) => row.histogram));
  const [p50Ms, p99Ms] = [quantileMs(histogram, 0.5), quantileMs(histogram, 0.99)];
  if (p50Ms === null || p99Ms === null) return null;
  const sum = (of: (row: KvloadRow) => number): number => within.reduce((total, row) => total + of(row), 0);
  return {
    requestsPerSec: (sum((row) => row.completed) / (within.length * ROW_MS)) * 1000,
    p50Ms,
    p99Ms,
    errors: sum((row) => row.errors),
  };
}

/** A line of the generator's output that is a row. @throws MeasureError */
export function parseKvloadRow(line: string): KvloadRow {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line) as typeof fields;
  } catch (error) {
    throw new MeasureError(`kvload: wanted a row as JSON, got "${line.slice(0, 120)}"`, { cause: error });
  }
  const number = (name: string): number => {
    const value = fields[name];
    if (typeof value !== 'number') throw new MeasureError(`kvload: wanted a number ${name} in a row`);
    return value;
  };
  const { histogram } = fields;
  if (!Array.isArray(histogram)) throw new MeasureError('kvload: wanted a list histogram in a row');
  return {
    atMonotonicMs: number('atMonotonicMs'),
    completed: number('completed'),
    count: number('count'),
    errors: number('errors'),
    wrong: number('wrong'),
    unanswered: number('unanswered'),
    p50Ms: number('p50Us') / 1000,
    p99Ms: number('p99Us') / 1000,
    maxMs: number('maxUs') / 1000,
    ownDelayMs: number('ownDelayUs') / 1000,
    histogram: histogram as KvloadRow['histogram'],
  };
}
