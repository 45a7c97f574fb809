// SPDX-License-Identifier: Apache-2.0
// Whether a value read from a file is a RunRecord. Fields that this version does not know are let through: a later one
// wrote them.

import type { OutcomeKind } from '../model/index.ts';
import { type AppFigures, RUN_SCHEMA, type RunRecord } from './run-record.ts';

/** Null where the value will do, else what was wanted and what was got. */
type Check = (value: unknown, path: string) => string | null;

function is(wanted: string, test: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (test(value)) return null;
    const got = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60);
    return `${path === '' ? '' : `${path}: `}expected ${wanted}, got ${got}`;
  };
}

function orNull(check: Check): Check {
  return (value, path) => (value === null ? null : check(value, path));
}

function optional(check: Check): Check {
  return (value, path) => (value === undefined ? null : check(value, path));
}

/** A check for each field of T; with one missing it does not compile. */
type Checks<T> = { readonly [K in keyof T]-?: Check };

function object(checks: Readonly<Record<string, Check>>): Check {
  const isObject = is('an object', (value) => typeof value === 'object' && value !== null);
  return (value, path) => {
    const problem = isObject(value, path);
    if (problem !== null) return problem;
    for (const [key, check] of Object.entries(checks)) {
      const field = (value as Readonly<Record<string, unknown>>)[key];
      const fieldProblem = check(field, path === '' ? key : `${path}.${key}`);
      if (fieldProblem !== null) return fieldProblem;
    }
    return null;
  };
}

function oneOf(...words: readonly string[]): Check {
  return is(words.join(' or '), (value) => words.some((word) => word === value));
}

const text = is('a text', (value) => typeof value === 'string');
const texts = is(
  'a list of texts',
  (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
);
const flag = is('true or false', (value) => typeof value === 'boolean');
const figure = is('a number', (value) => typeof value === 'number');
const count = is('a whole number', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const time = is(
  'a time as ISO 8601',
  (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
);

const OUTCOMES: Readonly<Record<OutcomeKind | 'failed', true>> = {
  completed: true,
  'source-running': true,
  'postcopy-paused': true,
  lost: true,
  unknown: true,
  failed: true,
};

const appFigures = object({
  requestsPerSec: figure,
  p50Ms: figure,
  p99Ms: figure,
  errors: figure,
} satisfies Checks<AppFigures>);

const runRecord = object({
  schema: oneOf(RUN_SCHEMA),
  kind: oneOf('cell', 'search', 'control'),
  guest: text,
  link: text,
  policy: text,
  setting: orNull(text),
  repeat: count,
  attempt: count,
  startedAt: time,
  outcome: oneOf(...Object.keys(OUTCOMES)),
  reason: text,
  capped: flag,
  waitedMs: optional(figure),
  tmtMs: orNull(figure),
  downtimeQemuMs: orNull(figure),
  downtimeStopToResumeMs: orNull(figure),
  downtimeGuestMs: orNull(figure),
  downtimeGuestAtLeastMs: orNull(figure),
  downtimeForecastMs: orNull(figure),
  transferredBytes: orNull(figure),
  rounds: orNull(figure),
  usedPostcopy: flag,
  floorBytes: orNull(figure),
  floorMs: orNull(figure),
  workPerSec: object({
    before: orNull(figure),
    during: orNull(figure),
    after: orNull(figure),
  } satisfies Checks<RunRecord['workPerSec']>),
  lostWorkMs: optional(orNull(figure)),
  app: orNull(
    object({
      name: text,
      before: orNull(appFigures),
      during: orNull(appFigures),
      after: orNull(appFigures),
    } satisfies Checks<NonNullable<RunRecord['app']>>),
  ),
  coherent: orNull(flag),
  lostPages: orNull(figure),
  lostBlocks: orNull(figure),
  disturbances: texts,
  stealRatio: orNull(figure),
  proberGapMs: orNull(figure),
  clientClockUncertaintyMs: optional(figure),
  files: object({ trace: orNull(text), series: orNull(text), logs: texts } satisfies Checks<
    RunRecord['files']
  >),
});

/** What keeps a value from being a RunRecord: `tmtMs: expected a number, got "x"`; null where nothing does. */
export function runRecordProblem(value: unknown): string | null {
  return runRecord(value, '');
}
