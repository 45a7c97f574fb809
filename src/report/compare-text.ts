// SPDX-License-Identifier: Apache-2.0
// A comparison as lines for people and as the versioned JSON document.

import { formatMs } from '../common/index.ts';
import { type Change, MEASURED_IN_NEITHER, type Metric } from './change.ts';
import type { Comparison } from './compare.ts';
import { ABSENT, count, formatChange, formatP, formatPercent, orAbsent } from './format.ts';

export const COMPARE_SCHEMA = 'slackwater/compare@1';

const METRIC_WORDS: Readonly<Record<Metric, string>> = {
  tmt: 'total time',
  'client-downtime': 'downtime, client',
  completion: 'finished',
};

function changeText(change: Change): string {
  const { metric, beforeRuns, afterRuns, p, note } = change;
  const format = metric === 'completion' ? formatPercent : formatMs;
  const by = change.change === null ? '' : ` (${formatChange(change.change)}, ${pText(p)})`;
  const values = `${orAbsent(change.before, format)} -> ${orAbsent(change.after, format)}${by}`;
  const runs = `${beforeRuns} and ${count(afterRuns, 'run')}`;
  return `${change.guest} on ${change.link}, ${change.policy}: ${METRIC_WORDS[metric]} ${values}, ${runs}${note === '' ? '' : `; ${note}`}`;
}

function pText(p: number | null): string {
  return p === null ? `p ${ABSENT}` : `p ${formatP(p)}`;
}

/** What got worse first; what did not change only by number. */
export function comparisonLines(comparison: Comparison): string[] {
  const { changes, conditions } = comparison;
  const group = (title: string, list: readonly Change[]): string[] =>
    list.length === 0 ? [] : [`${title}: ${list.length}`, ...list.map((change) => `  ${changeText(change)}`)];
  const neither = changes.notComparable.filter(({ note }) => note === MEASURED_IN_NEITHER);
  return [
    `${comparison.before} -> ${comparison.after}: ${comparison.worse ? 'worse' : 'nothing worse'}`,
    ...conditions.map(({ name, before, after }) => `condition differs: ${name}: ${before} -> ${after}`),
    ...group('worse', changes.worse),
    ...group('better', changes.better),
    ...group(
      'not comparable',
      changes.notComparable.filter((change) => !neither.includes(change)),
    ),
    ...(neither.length > 0 ? [`measured in neither set: ${neither.length}`] : []),
    `unchanged: ${changes.unchanged.length}`,
  ];
}

function changeDocument(change: Change): Record<string, unknown> {
  return {
    guest: change.guest,
    link: change.link,
    policy: change.policy,
    metric: change.metric,
    before: change.before,
    after: change.after,
    before_runs: change.beforeRuns,
    after_runs: change.afterRuns,
    change: change.change,
    threshold_ratio: change.thresholdRatio,
    p_holm: change.p,
    note: change.note,
  };
}

/** Times in ms, rates from 0 to 1. Fields are only ever added within a schema version. */
export function comparisonDocument(comparison: Comparison): Record<string, unknown> {
  const { changes } = comparison;
  return {
    schema: COMPARE_SCHEMA,
    before: comparison.before,
    after: comparison.after,
    worse: comparison.worse,
    conditions: comparison.conditions,
    changes: {
      better: changes.better.map(changeDocument),
      worse: changes.worse.map(changeDocument),
      unchanged: changes.unchanged.map(changeDocument),
      not_comparable: changes.notComparable.map(changeDocument),
    },
  };
}
