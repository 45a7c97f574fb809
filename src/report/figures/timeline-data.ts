// SPDX-License-Identifier: Apache-2.0
// One migration over time, read out of its trace rows and its series: what the timeline draws, and no more points than
// its pixels can show.

import { formatBytes, formatMs, formatRate } from '../../common/index.ts';
import type { RunRecord, RunSeries } from '../../experiment/index.ts';
import type { TraceRow } from '../../record/index.ts';

/** What the caller has read of one run. */
export interface TimelineInput {
  readonly record: RunRecord;
  readonly rows: readonly TraceRow[];
  readonly series: RunSeries | null;
}

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface ForecastPoint {
  readonly atMs: number;
  readonly tmtMs: number;
  readonly lowMs: number;
  readonly highMs: number;
}

export interface Decision {
  readonly atMs: number;
  readonly label: string;
  readonly text: string;
  /** Another round of the same: of little interest when there are many. */
  readonly isContinue: boolean;
}

export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Timeline {
  readonly fromMs: number;
  readonly toMs: number;
  readonly remainingBytes: readonly Point[];
  readonly bandwidthBytesPerSec: readonly Point[];
  readonly forecast: readonly ForecastPoint[];
  readonly workPerSec: readonly Point[];
  readonly rounds: readonly { readonly atMs: number; readonly round: number }[];
  readonly decisions: readonly Decision[];
  readonly silences: readonly Span[];
  readonly postcopy: Span | null;
}

const MOST_POINTS = 700;

function numberOf(row: TraceRow, field: string): number | null {
  const value = row.fields[field];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function textOf(row: TraceRow, field: string): string {
  const value = row.fields[field];
  return typeof value === 'string' ? value : '';
}

/** Of each stretch the least and the greatest value, in their order: peaks survive. */
export function thin(points: readonly Point[], most = MOST_POINTS): Point[] {
  if (points.length <= most) return [...points];
  const size = Math.ceil(points.length / (most / 2));
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += size) {
    const stretch = points.slice(start, start + size);
    const ordered = [...stretch].sort((a, b) => a.value - b.value);
    const ends = [ordered[0], ordered.at(-1)].filter((point) => point !== undefined);
    kept.push(...[...new Set(ends)].sort((a, b) => a.atMs - b.atMs));
  }
  return kept;
}

function observed(rows: readonly TraceRow[], field: string): Point[] {
  return rows.flatMap((row) => {
    const value = row.type === 'observation' ? numberOf(row, field) : null;
    return value === null ? [] : [{ atMs: row.atMs, value }];
  });
}

/** The forecast TMT of switching now, once post-copy has begun of what is left, with its band; a trace without one has a line. */
function forecastOf(rows: readonly TraceRow[]): ForecastPoint[] {
  return rows.flatMap((row) => {
    if (row.type !== 'forecast') return [];
    const way = numberOf(row, 'precopyNowTmtMs') === null ? 'postcopy' : 'precopy';
    const tmtMs = numberOf(row, `${way}NowTmtMs`);
    if (tmtMs === null) return [];
    return [
      {
        atMs: row.atMs,
        tmtMs,
        lowMs: numberOf(row, `${way}NowTmtLowMs`) ?? tmtMs,
        highMs: numberOf(row, `${way}NowTmtHighMs`) ?? tmtMs,
      },
    ];
  });
}

function roundsOf(rows: readonly TraceRow[]): { atMs: number; round: number }[] {
  const passes = rows.flatMap((row) => {
    const isPass =
      row.type === 'event' &&
      textOf(row, 'name') === 'MIGRATION_PASS' &&
      textOf(row, 'end') !== 'destination';
    const round = isPass ? numberOf(row, 'data') : null;
    return round === null ? [] : [{ atMs: row.atMs, round }];
  });
  if (passes.length > 0) return passes;
  // Without events: by the counter, as far as it was polled.
  const starts = new Map<number, number>();
  for (const row of rows) {
    const round = row.type === 'observation' ? numberOf(row, 'round') : null;
    if (round === null || round === 0 || starts.has(round)) continue;
    starts.set(round, numberOf(row, 'roundStartMs') ?? row.atMs);
  }
  return [...starts].map(([round, atMs]) => ({ atMs, round }));
}

/** The parameters of policies, in the two or three words that fit into a figure. */
const PARAMETER_WORDS: Readonly<Record<string, (value: number) => string>> = {
  downtimeLimitMs: (ms) => `downtime limit ${formatMs(ms)}`,
  maxBandwidthBytesPerSec: (rate) => `bandwidth ${rate === 0 ? 'unlimited' : formatRate(rate)}`,
  maxPostcopyBandwidthBytesPerSec: (rate) => `push ${rate === 0 ? 'unlimited' : formatRate(rate)}`,
  availSwitchoverBandwidthBytesPerSec: (rate) => `switchover at ${formatRate(rate)}`,
  throttleInitialPercent: (percent) => `throttle ${percent} %`,
  throttleMaxPercent: (percent) => `throttle up to ${percent} %`,
  xbzrleCacheBytes: (bytes) => `cache ${formatBytes(bytes)}`,
};

function labelOf(row: TraceRow): string {
  const kind = textOf(row, 'kind');
  if (kind === 'start-postcopy') return 'post-copy';
  if (kind === 'continue') return 'another round';
  if (kind !== 'set-parameters') return kind.replaceAll('-', ' ');
  const change: unknown = row.fields['change'];
  const parts = Object.entries(typeof change === 'object' && change !== null ? change : {}).flatMap(
    ([name, value]: [string, unknown]) => {
      const words = PARAMETER_WORDS[name];
      return words !== undefined && typeof value === 'number' ? [words(value)] : [];
    },
  );
  return parts[0] ?? 'settings';
}

function decisionsOf(rows: readonly TraceRow[]): Decision[] {
  return rows.flatMap((row) => {
    if (row.type !== 'action') return [];
    const undone = row.fields['carriedOut'] === false && textOf(row, 'kind') !== 'continue';
    return [
      {
        atMs: row.atMs,
        label: undone ? `${labelOf(row)} (not carried out)` : labelOf(row),
        text: textOf(row, 'text'),
        isContinue: textOf(row, 'kind') === 'continue',
      },
    ];
  });
}

function postcopyOf(rows: readonly TraceRow[], endMs: number): Span | null {
  const first = rows.find(
    (row) =>
      (row.type === 'event' && textOf(row, 'data') === 'postcopy-active') ||
      (row.type === 'observation' && textOf(row, 'status') === 'postcopy-active'),
  );
  return first === undefined ? null : { startMs: first.atMs, endMs };
}

/** Null where neither trace nor series holds anything to draw. */
export function timelineOf({ record, rows, series }: TimelineInput): Timeline | null {
  const work = (series?.work ?? []).map(({ atMs, perSec }) => ({ atMs, value: perSec }));
  const remaining = observed(rows, 'remainingBytes');
  const lastMs = rows.reduce((latest, { atMs }) => Math.max(latest, atMs), 0);
  const endMs = record.tmtMs ?? Math.max(lastMs, ...remaining.map(({ atMs }) => atMs));
  if (remaining.length === 0 && work.length === 0) return null;
  const spanMs = endMs > 0 ? endMs : Math.max(1, ...work.map(({ atMs }) => atMs));
  // Some of before and after, for the work rate; never so much that the migration itself becomes small.
  const fromMs = Math.max(-0.12 * spanMs, Math.min(0, ...work.map(({ atMs }) => atMs)));
  const toMs = Math.min(1.15 * spanMs, Math.max(spanMs * 1.02, ...work.map(({ atMs }) => atMs)));
  const inside = (point: { readonly atMs: number }): boolean => point.atMs >= fromMs && point.atMs <= toMs;
  return {
    fromMs,
    toMs,
    remainingBytes: thin(remaining.filter(inside)),
    bandwidthBytesPerSec: thin(observed(rows, 'bandwidthBytesPerSec').filter(inside)),
    forecast: forecastOf(rows).filter(inside),
    workPerSec: thin(work.filter(inside)),
    rounds: roundsOf(rows).filter(inside),
    decisions: decisionsOf(rows).filter(inside),
    silences: (series?.silences ?? [])
      .filter(({ startMs, endMs: until }) => until > fromMs && startMs < toMs)
      .map(({ startMs, endMs: until }) => ({
        startMs: Math.max(fromMs, startMs),
        endMs: Math.min(toMs, until),
      })),
    postcopy: postcopyOf(rows, endMs),
  };
}
