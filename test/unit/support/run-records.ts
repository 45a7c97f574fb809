// SPDX-License-Identifier: Apache-2.0
// Synthetic runs: a completed migration of a 512 MiB guest over 1 Gbit/s; tests say what is different. And small readers
// of what reports are written in, to check it with.

import fc from 'fast-check';
import { RUN_SCHEMA, type RunRecord } from '../../../src/experiment/index.ts';
import type { TraceRow } from '../../../src/record/index.ts';
import {
  buildReport,
  chooseTimelineRuns,
  type Random,
  renderHtml,
  type ResultSet,
  seededRandom,
  type TimelineInput,
  type Verdict,
} from '../../../src/report/index.ts';

export function runRecord(fields: Partial<RunRecord> = {}): RunRecord {
  return {
    schema: RUN_SCHEMA,
    kind: 'cell',
    guest: 'hot64',
    link: '1gbit',
    policy: 'adaptive',
    setting: null,
    repeat: 0,
    attempt: 0,
    startedAt: '2026-11-22T00:00:00.000Z',
    outcome: 'completed',
    reason: 'the guest runs on the destination',
    capped: false,
    tmtMs: 5200,
    downtimeQemuMs: 4,
    downtimeStopToResumeMs: 70,
    downtimeGuestMs: 190,
    downtimeGuestAtLeastMs: 185,
    downtimeForecastMs: 60,
    transferredBytes: 576e6,
    rounds: 2,
    usedPostcopy: true,
    floorBytes: 506e6,
    floorMs: 4300,
    workPerSec: { before: 100, during: 90, after: 100 },
    app: null,
    coherent: true,
    lostPages: 0,
    lostBlocks: 0,
    disturbances: [],
    stealRatio: 0,
    proberGapMs: 2,
    files: { trace: null, series: null, logs: [] },
    ...fields,
  };
}

/** A migration that the experiment's time cap ended. */
export function cappedRecord(fields: Partial<RunRecord> = {}): RunRecord {
  return runRecord({
    outcome: 'source-running',
    reason: 'given up after 30 s',
    capped: true,
    tmtMs: null,
    downtimeQemuMs: null,
    downtimeStopToResumeMs: null,
    downtimeGuestMs: null,
    downtimeGuestAtLeastMs: null,
    usedPostcopy: false,
    ...fields,
  });
}

/** `repeats` runs that differ by `noiseRatio` (one standard deviation) in all their times. */
export function noisyRuns(
  repeats: number,
  random: Random,
  noiseRatio: number,
  fields: Partial<RunRecord> = {},
): RunRecord[] {
  return Array.from({ length: repeats }, (_, repeat) => {
    const base = runRecord({ ...fields, repeat });
    const noisy = (ms: number | null): number | null =>
      ms === null ? null : ms * (1 + noiseRatio * standardNormal(random));
    return {
      ...base,
      tmtMs: noisy(base.tmtMs),
      downtimeStopToResumeMs: noisy(base.downtimeStopToResumeMs),
      downtimeGuestMs: noisy(base.downtimeGuestMs),
    };
  });
}

/** Box and Muller's transform of two uniform values. */
export function standardNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Ten runs of a policy within 1 % of that time. */
export function runsOf(policy: string, tmtMs: number, fields: Partial<RunRecord> = {}): RunRecord[] {
  return noisyRuns(10, seededRandom(policy.length), 0.01, { policy, tmtMs, ...fields });
}

/** Runs that the time cap ended. */
export function capped(policy: string, repeats = 2): RunRecord[] {
  return Array.from({ length: repeats }, (_, repeat) => cappedRecord({ policy, repeat }));
}

export function resultSet(records: readonly RunRecord[], fields: Partial<ResultSet> = {}): ResultSet {
  return {
    name: 'synthetic',
    title: 'Synthetic runs',
    about: 'Made up for tests.',
    machine: { processor: 'none', qemu: '10.0.2', node: '20.20.2' },
    policies: ['qemu-default', 'adaptive'],
    ours: ['adaptive'],
    records,
    ...fields,
  };
}

/** The report of records with these policies in its experiment file. */
export function reportOf(records: readonly RunRecord[], policies = ['qemu-default', 'adaptive']) {
  return buildReport(resultSet(records, { policies }), seededRandom(1));
}

/** The policy's cell of the first guest and link. */
export function cellOf(records: readonly RunRecord[], policy: string) {
  const [setting] = reportOf(records, ['adaptive', 'hybrid-2', 'oracle']).settings;
  return setting!.cells.find((cell) => cell.policy === policy)!;
}

/** Verdicts of a single guest and link, by claim. */
export function verdictsOf(records: readonly RunRecord[]): Record<string, Verdict> {
  const { verdicts } = reportOf(records, ['qemu-default', 'hybrid-2', 'adaptive']);
  return Object.fromEntries(verdicts.map((verdict) => [verdict.claim, verdict]));
}

/** A trace of two rounds and post-copy with its series, as a timeline is drawn from. */
export function timelineInput(record: RunRecord): TimelineInput {
  const row = (type: TraceRow['type'], atMs: number, fields: TraceRow['fields']): TraceRow => ({
    type,
    atMs,
    fields,
  });
  const observed = Array.from({ length: 21 }, (_, index): TraceRow[] => {
    const atMs = 250 * index;
    const status = atMs < 4600 ? 'active' : 'postcopy-active';
    const remainingBytes = atMs < 4500 ? 5e8 - 1.1e5 * atMs : 6.4e7 - 8e4 * (atMs - 4500);
    return [
      row('observation', atMs, { status, round: 1, remainingBytes, bandwidthBytesPerSec: 1.1e8 }),
      row('forecast', atMs, {
        ready: true,
        precopyNowTmtMs: 5100 + (index % 3),
        precopyNowTmtLowMs: 5000,
        precopyNowTmtHighMs: 5300,
      }),
    ];
  });
  return {
    record,
    rows: [
      row('action', 1, {
        kind: 'set-parameters',
        change: { downtimeLimitMs: 1 },
        text: 'hold',
        carriedOut: true,
      }),
      row('event', 5, { end: 'source', name: 'MIGRATION_PASS', data: 1 }),
      ...observed.flat(),
      row('event', 4500, { end: 'source', name: 'MIGRATION_PASS', data: 2 }),
      row('action', 4510, { kind: 'start-postcopy', text: `because of ${record.policy}`, carriedOut: true }),
    ],
    series: {
      work: Array.from({ length: 70 }, (_, index) => ({ atMs: 100 * index - 1000, perSec: 95 })),
      silences: [{ startMs: 4600, endMs: 4790 }],
    },
  };
}

const maybe = fc.option(
  fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.double({ min: 1e-3, max: 1e7, noNaN: true })),
);
/** The same with thousands of rows and a reason of a hundred thousand characters. */
export function longTimelineInput(record: RunRecord): TimelineInput {
  const { rows, series } = timelineInput(record);
  const observed = rows.find(({ type }) => type === 'observation')!;
  const often = Array.from({ length: 4000 }, (_, index) => ({ ...observed, atMs: index }));
  const text = 'a reason of some length. '.repeat(4000);
  const action = { type: 'action', atMs: 1, fields: { kind: 'continue', text } } as const;
  return { record, rows: [...rows, ...often, action], series };
}

/** Runs with anything measured or not, as no experiment would give them. */
export const anyRecord = fc
  .record({
    guest: fc.constantFrom('a', '<b>'),
    policy: fc.constantFrom('adaptive', 'qemu-default', 'x'),
    kind: fc.constantFrom('cell' as const, 'control' as const),
    outcome: fc.constantFrom(
      'completed' as const,
      'source-running' as const,
      'lost' as const,
      'failed' as const,
    ),
    repeat: fc.nat(3),
    attempt: fc.nat(2),
    capped: fc.boolean(),
    tmtMs: maybe,
    downtimeQemuMs: maybe,
    downtimeGuestMs: maybe,
    transferredBytes: maybe,
    floorMs: maybe,
    lostPages: fc.option(fc.nat(9)),
    workPerSec: fc.record({ before: maybe, during: maybe, after: maybe }),
  })
  .map((fields) => runRecord({ ...fields, files: { trace: 't', series: 's', logs: [] } }));

/** The svg elements of a page, as they stand in it. */
export function svgsOf(html: string): string[] {
  return html.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
}

/** What keeps a text from being well-formed XML; null when it is. Knows what our figures use: no comments, no CDATA. */
export function xmlProblem(xml: string): string | null {
  const open: string[] = [];
  const token = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    if (match === null) return `no markup at ${at}: ${xml.slice(at, at + 60)}`;
    const [, closing, name = '', attributes = '', empty, text] = match;
    if (/&(?!(amp|lt|gt|quot|#39);)/.test(`${attributes}${text ?? ''}`)) return `a bare & in ${match[0]}`;
    if (text !== undefined) continue;
    const names = [...attributes.matchAll(/\s([\w:-]+)=/g)].map(([, attribute]) => attribute);
    if (new Set(names).size !== names.length) return `an attribute twice in ${match[0]}`;
    if (closing === '/') {
      if (open.pop() !== name) return `</${name}> closes nothing`;
    } else if (empty !== '/') open.push(name);
  }
  return open.length === 0 ? null : `${open.join(', ')} not closed`;
}

/** Fields of CSV lines, quotes undone (RFC 4180). */
export function parseCsv(text: string): string[][] {
  const lines: string[][] = [[]];
  const token = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/y;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match === null) throw new Error(`not CSV at ${token.lastIndex}`);
    const [, field = '', end] = match;
    lines.at(-1)?.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
    if (end === '\r\n' && token.lastIndex < text.length) lines.push([]);
  }
  return lines;
}

/** A page with all its figures, of names that are not meant well. */
export function hostilePage(name: string) {
  const files = { trace: 'runs/1.trace', series: 'runs/1.json', logs: [] };
  const records = [
    ...runsOf('adaptive', 5000, { guest: name, link: name, files }),
    ...runsOf(name, 6000, { guest: name, link: name, files }),
    ...capped('qemu-default').map((record) => ({
      ...record,
      guest: name,
      link: name,
      reason: name,
      files,
    })),
    ...noisyRuns(4, seededRandom(1), 0.01, { kind: 'control', guest: 'idle', link: name, policy: name }),
  ];
  const set = resultSet(records, {
    title: name,
    about: name,
    machine: { [name]: name },
    policies: ['qemu-default', name, 'adaptive'],
    commands: name,
  });
  const report = buildReport(set, seededRandom(1));
  const runs = chooseTimelineRuns(report.settings);
  return { report, html: renderHtml(report, runs.map(timelineInput)), runs };
}
