// SPDX-License-Identifier: Apache-2.0
// A part of a plan: what `--only guest=hot-64m,policy=nova*` leaves of it.

import { closestWord, UsageError } from '../common/index.ts';
import type { PlannedRun } from './expand.ts';
import { ORACLE } from './oracle.ts';
import { cellKey } from './run-key.ts';

const VALUE_OF = {
  guest: (run: PlannedRun) => run.guest.name,
  link: (run: PlannedRun) => run.link,
  policy: (run: PlannedRun) => run.policy.name,
  repeat: (run: PlannedRun) => String(run.repeat),
  kind: (run: PlannedRun) => run.kind,
} as const;

type FilterKey = keyof typeof VALUE_OF;

interface Term {
  readonly key: FilterKey;
  readonly pattern: string;
  readonly matches: (text: string) => boolean;
}

/**
 * The runs that at least one of the filters lets through, in their order. In a filter different keys must all fit, and
 * of patterns for the same key one. Control runs stay where a run beside them does (up to the next control run), for its
 * figures are judged by theirs, and the oracle's search where its own runs do, for without it they cannot be made; a
 * filter that names `kind` decides itself.
 * @throws UsageError for a filter that cannot be read, or that lets nothing through
 */
export function filterRuns(runs: readonly PlannedRun[], onlyTexts: readonly string[]): PlannedRun[] {
  if (onlyTexts.length === 0) return [...runs];
  const kept = new Set(onlyTexts.flatMap((text) => runsOf(runs, text)));
  return runs.filter((run) => kept.has(run));
}

function runsOf(runs: readonly PlannedRun[], text: string): readonly PlannedRun[] {
  const terms = text.split(',').map((part) => parseTerm(part, text));
  const fits = (run: PlannedRun) =>
    terms.every(({ key }) => terms.some((term) => term.key === key && term.matches(VALUE_OF[key](run))));
  const namesKind = terms.some(({ key }) => key === 'kind');
  const among = namesKind ? runs : runs.filter(({ kind }) => kind === 'cell');
  const chosen = among.filter(fits);
  if (chosen.length === 0) throw nothingMatches(among, terms, text);
  if (namesKind) return chosen;
  const withSearch = [...chosen, ...searchFor(runs, chosen)];
  return [...withSearch, ...controlsBeside(runs, new Set(withSearch))];
}

function searchFor(runs: readonly PlannedRun[], chosen: readonly PlannedRun[]): PlannedRun[] {
  const block = ({ guest, link }: PlannedRun): string => cellKey(guest.name, link, ORACLE);
  const searched = new Set(chosen.filter(({ policy }) => policy.source.kind === 'oracle').map(block));
  return runs.filter((run) => run.kind === 'search' && searched.has(block(run)));
}

function controlsBeside(runs: readonly PlannedRun[], chosen: ReadonlySet<PlannedRun>): PlannedRun[] {
  const controls = runs.flatMap((run, index) => (run.kind === 'control' ? [index] : []));
  return controls.flatMap((at, order) => {
    const from = controls[order - 1] ?? 0;
    const to = controls[order + 1] ?? runs.length;
    const run = runs[at];
    return run !== undefined && runs.slice(from, to).some((near) => chosen.has(near)) ? [run] : [];
  });
}

function parseTerm(part: string, text: string): Term {
  const [, word = '', pattern = ''] = /^\s*([a-z]+)\s*=\s*(.*?)\s*$/i.exec(part) ?? [];
  const keys = Object.keys(VALUE_OF) as FilterKey[];
  const key = keys.find((known) => known === word);
  if (key !== undefined && pattern !== '') return { key, pattern, matches: globMatcher(pattern) };
  const meant = closestWord(word, keys);
  throw new UsageError(`--only: expected KEY=PATTERN[,KEY=PATTERN ...], got "${text}"`, {
    remedy: `keys: ${keys.join(', ')}${meant === undefined || key !== undefined ? '' : `; did you mean ${meant}?`}; * in a pattern stands for anything`,
  });
}

function globMatcher(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`);
  return (text) => expression.test(text);
}

/** Says which part fits no run, and what there is instead. */
function nothingMatches(runs: readonly PlannedRun[], terms: readonly Term[], text: string): UsageError {
  const values = (key: FilterKey) => [...new Set(runs.map(VALUE_OF[key]))];
  const unmet = terms.find(({ key, matches }) => !values(key).some(matches));
  return new UsageError(`--only: no run of the experiment fits "${text}"`, {
    remedy:
      unmet === undefined
        ? 'each part fits some run, but none fits all parts'
        : `there is no ${unmet.key} ${unmet.pattern}; there are: ${values(unmet.key).join(', ')}`,
  });
}
