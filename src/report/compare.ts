// SPDX-License-Identifier: Apache-2.0
// Two result sets of the same experiment, cell by cell: what really changed, and whether anything got worse.

import { median } from 'simple-statistics';
import { groupBy } from '../common/index.ts';
import { cellIsHopeless, type RunRecord } from '../experiment/index.ts';
import {
  type Candidate,
  type Change,
  isReal,
  isWorse,
  judge,
  MEASURED_IN_NEITHER,
  type Metric,
} from './change.ts';
import { type ControlNoise, controlNoise, noiseOn } from './noise.ts';
import type { Random } from '../common/index.ts';
import { countingRuns, isCompleted, keyOf, measured, type ResultSet } from './result-set.ts';
import { RESAMPLES } from './statistics.ts';

export interface Comparison {
  readonly before: string;
  readonly after: string;
  /** Conditions that the two sets do not share: the first thing to look at when something changed. */
  readonly conditions: readonly { readonly name: string; readonly before: string; readonly after: string }[];
  readonly changes: {
    readonly better: readonly Change[];
    readonly worse: readonly Change[];
    readonly unchanged: readonly Change[];
    readonly notComparable: readonly Change[];
  };
  /** Something got worse. */
  readonly worse: boolean;
}

/** Where no control runs say what the machine's noise is. */
const DEFAULT_THRESHOLD = 0.02;

interface Sides {
  readonly before: readonly ControlNoise[];
  readonly after: readonly ControlNoise[];
}

/** What of a cell is compared; without the intervals that a report works out. */
interface ComparedCell {
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  readonly runs: readonly RunRecord[];
  readonly completed: readonly RunRecord[];
  readonly hopeless: boolean;
}

interface Pair {
  readonly before: ComparedCell;
  readonly after: ComparedCell;
}

/** Twice the noise, of the noisier of the two sets. */
function thresholdFor(link: string, metric: Metric, controls: Sides): number {
  if (metric === 'completion') return DEFAULT_THRESHOLD;
  const figure = metric === 'tmt' ? 'tmtMs' : 'downtimeGuestMs';
  const known = [noiseOn(link, controls.before, figure), noiseOn(link, controls.after, figure)].filter(
    (ratio) => ratio !== null,
  );
  return known.length === 0 ? DEFAULT_THRESHOLD : 2 * Math.max(...known);
}

function medianOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : median([...values]);
}

function timeCandidate(
  pair: Pair,
  metric: 'tmt' | 'client-downtime',
  value: (run: RunRecord) => number | null,
  controls: Sides,
): Candidate {
  const { guest, link, policy } = pair.before;
  const before = measured(pair.before.completed, value);
  const after = measured(pair.after.completed, value);
  const from = medianOf(before);
  const to = medianOf(after);
  return {
    before,
    after,
    change: {
      guest,
      link,
      policy,
      metric,
      before: from,
      after: to,
      beforeRuns: before.length,
      afterRuns: after.length,
      change: from === null || to === null || from <= 0 ? null : to / from - 1,
      thresholdRatio: thresholdFor(link, metric, controls),
      p: null,
      note: from === null && to === null ? MEASURED_IN_NEITHER : '',
    },
  };
}

/**
 * 1 for each run that finished, 0 for each that did not. The runs that a hopeless cell was spared count as not finished,
 * up to as many as the other set has: otherwise giving up early would hide that a policy stopped working.
 */
function completions(cell: ComparedCell, other: ComparedCell): number[] {
  const finished = cell.completed.length;
  const runs = cell.hopeless ? Math.max(cell.runs.length, other.runs.length) : cell.runs.length;
  return Array.from({ length: runs }, (_, index) => (index < finished ? 1 : 0));
}

function completionCandidate({ before, after }: Pair, controls: Sides): Candidate {
  const a = completions(before, after);
  const b = completions(after, before);
  const rate = (values: readonly number[]): number | null =>
    values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  const beforeRate = rate(a);
  const afterRate = rate(b);
  return {
    before: a,
    after: b,
    change: {
      guest: before.guest,
      link: before.link,
      policy: before.policy,
      metric: 'completion',
      before: beforeRate,
      after: afterRate,
      beforeRuns: before.runs.length,
      afterRuns: after.runs.length,
      change: beforeRate === null || afterRate === null ? null : afterRate - beforeRate,
      thresholdRatio: thresholdFor(before.link, 'completion', controls),
      p: null,
      note:
        before.hopeless || after.hopeless ? 'runs not made after two capped ones count as not finished' : '',
    },
  };
}

function conditionsThatDiffer(before: ResultSet, after: ResultSet): Comparison['conditions'] {
  const names = [...new Set([...Object.keys(before.machine), ...Object.keys(after.machine)])];
  const text = (value: string | number | null | undefined): string =>
    value === null || value === undefined ? 'not known' : String(value);
  return names
    .map((name) => ({ name, before: text(before.machine[name]), after: text(after.machine[name]) }))
    .filter((condition) => condition.before !== condition.after);
}

/** Cells with at least one run that counts, by key. */
function cellsByKey(set: ResultSet): Map<string, ComparedCell> {
  const records = set.records.filter(({ kind }) => kind === 'cell');
  const groups = groupBy(records, ({ guest, link, policy }) => keyOf(guest, link, policy));
  return new Map(
    [...groups].flatMap(([key, group]): [string, ComparedCell][] => {
      const runs = countingRuns(group);
      const [first] = runs;
      if (first === undefined) return [];
      const { guest, link, policy } = first;
      const cell = { guest, link, policy, runs, completed: runs.filter(isCompleted) };
      return [[key, { ...cell, hopeless: cellIsHopeless(group, set.maxAttempts) }]];
    }),
  );
}

function onlyIn(cell: ComparedCell, side: 'before' | 'after'): Change {
  const { guest, link, policy, runs, completed } = cell;
  const tmtMs = medianOf(measured(completed, (run) => run.tmtMs));
  const isBefore = side === 'before';
  return {
    guest,
    link,
    policy,
    metric: 'tmt',
    before: isBefore ? tmtMs : null,
    after: isBefore ? null : tmtMs,
    beforeRuns: isBefore ? runs.length : 0,
    afterRuns: isBefore ? 0 : runs.length,
    change: null,
    thresholdRatio: DEFAULT_THRESHOLD,
    p: null,
    note: isBefore ? 'no runs in the later set' : 'no runs in the earlier set',
  };
}

/**
 * Compares the cells that both sets have. Of cells with a completed run on one side only, completion alone is compared.
 * @param resamples of each permutation test
 */
export function compareResultSets(
  before: ResultSet,
  after: ResultSet,
  random: Random,
  resamples = RESAMPLES,
): Comparison {
  const earlier = cellsByKey(before);
  const later = cellsByKey(after);
  const controls = {
    before: controlNoise(before.records, random),
    after: controlNoise(after.records, random),
  };
  const pairs = [...earlier].flatMap(([key, cell]): Pair[] => {
    const other = later.get(key);
    return other === undefined ? [] : [{ before: cell, after: other }];
  });
  const families: readonly Candidate[][] = [
    pairs.map((pair) => timeCandidate(pair, 'tmt', ({ tmtMs }) => tmtMs, controls)),
    pairs.map((pair) =>
      timeCandidate(pair, 'client-downtime', ({ downtimeGuestMs }) => downtimeGuestMs, controls),
    ),
    pairs.map((pair) => completionCandidate(pair, controls)),
  ];
  const changes = families.flatMap((family) => judge(family, random, resamples));
  const comparable = changes.filter(({ p }) => p !== null);
  const worse = comparable.filter((change) => isReal(change) && isWorse(change));
  return {
    before: before.name,
    after: after.name,
    conditions: conditionsThatDiffer(before, after),
    changes: {
      better: comparable.filter((change) => isReal(change) && !isWorse(change)),
      worse,
      unchanged: comparable.filter((change) => !isReal(change)),
      notComparable: [
        ...changes.filter(({ p }) => p === null),
        ...[...earlier].filter(([key]) => !later.has(key)).map(([, cell]) => onlyIn(cell, 'before')),
        ...[...later].filter(([key]) => !earlier.has(key)).map(([, cell]) => onlyIn(cell, 'after')),
      ],
    },
    worse: worse.length > 0,
  };
}
