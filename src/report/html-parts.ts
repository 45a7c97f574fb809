// SPDX-License-Identifier: Apache-2.0
// The tables and lists of the page.

import { formatMs, groupBy } from '../common/index.ts';
import type { Against } from './against.ts';
import { type Claim, CLAIMS } from './claims.ts';
import { ABSENT, count, formatInterval, formatP, formatRatio, orAbsent } from './format.ts';
import { type Child, el, type Markup } from './markup.ts';
import type { Report } from './report.ts';
import { keyOf } from './result-set.ts';
import type { PairedDifference } from './significance.ts';
import { type CellText, columnsFor, settingNote } from './table.ts';
import type { Verdict } from './verdict.ts';

/** Words beside the colour, so that neither print nor eyes need to tell red from green. */
export const STATE_WORDS: Readonly<Record<Verdict['state'], string>> = {
  green: '\u2713 holds',
  red: '\u2717 does not hold',
  open: '? open',
};

const STATE_ORDER: readonly Verdict['state'][] = ['red', 'open', 'green'];

function score(verdicts: readonly Verdict[]): Markup {
  return el(
    'ul',
    { class: 'score' },
    (['green', 'red', 'open'] as const).map((state) => {
      const n = verdicts.filter((verdict) => verdict.state === state).length;
      return n === 0 ? null : el('li', { class: state }, `${STATE_WORDS[state]}: ${n}`);
    }),
  );
}

/** Claim by claim; what does not hold comes first. */
export function verdictList(verdicts: readonly Verdict[]): Child {
  if (verdicts.length === 0) {
    return el('p', { class: 'muted' }, 'Nothing is claimed: the adaptive policy is not in this set.');
  }
  const claims = Object.keys(CLAIMS) as Claim[];
  return [
    score(verdicts),
    claims.map((claim) => {
      const own = verdicts.filter((verdict) => verdict.claim === claim);
      if (own.length === 0) return null;
      const sorted = STATE_ORDER.flatMap((state) => own.filter((verdict) => verdict.state === state));
      return [
        el('h3', {}, CLAIMS[claim]),
        el(
          'ul',
          { class: 'verdicts' },
          sorted.map(({ state, guest, link, policy, text, reason }) =>
            el(
              'li',
              { class: state },
              el('span', { class: `state ${state}` }, STATE_WORDS[state]),
              el('span', {}, `${guest} on ${link}, ${policy}`),
              el(
                'span',
                {},
                text,
                reason === null ? null : el('span', { class: 'muted' }, ` Why: ${reason}`),
              ),
            ),
          ),
        ),
      ];
    }),
  ];
}

function headCell(title: string, note: string): Markup {
  return el('th', { scope: 'col' }, title, note === '' ? null : el('small', {}, note));
}

function textCell({ main, note, isBad, isBest }: CellText): Markup {
  const classes = [...(isBest === true ? ['best'] : []), ...(isBad === true ? ['bad'] : [])];
  return el(
    'td',
    { class: classes.length > 0 ? classes.join(' ') : null },
    main,
    note === '' ? null : el('small', { class: isBad === true ? 'bad wrap' : null }, note),
  );
}

function groupHead(text: string, note: string, columns: number): Markup {
  return el(
    'tr',
    {},
    el('th', { scope: 'rowgroup', colspan: columns }, text, el('span', { class: 'muted' }, note)),
  );
}

/** All cells, a group of rows for each guest and link. */
export function cellTable(report: Report): Markup {
  const columns = columnsFor(report.settings);
  const { ours } = report.set;
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        headCell('policy', ''),
        columns.map(({ title, note }) => headCell(title, note)),
      ),
    ),
    report.settings.map((setting) => {
      return el(
        'tbody',
        {},
        groupHead(`${setting.guest} on ${setting.link}`, settingNote(setting), columns.length + 1),
        setting.cells.map((cell) =>
          el(
            'tr',
            { class: ours.includes(cell.policy) ? 'ours' : null },
            el('th', { scope: 'row' }, cell.policy),
            columns.map(({ of }) => textCell(of(cell, setting))),
          ),
        ),
      );
    }),
  );
}

/** formatMs with a sign, for differences. */
function signedMs(ms: number): string {
  if (Math.abs(ms) < 0.5) return formatMs(0);
  return ms < 0 ? `-${formatMs(-ms)}` : `+${formatMs(ms)}`;
}

function differenceCells(difference: PairedDifference | null): Child {
  if (difference === null)
    return [textCell({ main: ABSENT, note: '' }), textCell({ main: ABSENT, note: '' })];
  return [
    textCell({
      main: signedMs(difference.median),
      note: formatInterval(difference.median95, signedMs),
    }),
    textCell({ main: formatP(difference.p), note: count(difference.pairs, 'pair') }),
  ];
}

function againstTitle([first]: readonly Against[]): string {
  return first === undefined ? '' : `${first.guest} on ${first.link}: ${first.policy} against`;
}

export function againstTable(against: readonly Against[]): Markup {
  const groups = [...groupBy(against, ({ guest, link, policy }) => keyOf(guest, link, policy)).values()];
  const heads = [
    ['other policy', ''],
    ['total time, ratio', 'ours / other, 95 %'],
    ['total time, difference', 'median of pairs, 95 %'],
    ['p', 'pairs'],
    ['client downtime, difference', 'median of pairs, 95 %'],
    ['p', 'pairs'],
  ] as const;
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        heads.map(([title, note]) => headCell(title, note)),
      ),
    ),
    groups.map((group) =>
      el(
        'tbody',
        {},
        groupHead(againstTitle(group), '', heads.length),
        group.map(({ rival, tmtRatio, tmtDifferenceMs, downtimeGuestDifferenceMs }) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, rival),
            textCell({
              main: orAbsent(tmtRatio, ({ ratio }) => formatRatio(ratio)),
              note: tmtRatio === null ? '' : formatInterval(tmtRatio.ratio95, formatRatio),
            }),
            differenceCells(tmtDifferenceMs),
            differenceCells(downtimeGuestDifferenceMs),
          ),
        ),
      ),
    ),
  );
}
