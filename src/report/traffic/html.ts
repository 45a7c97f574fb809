// SPDX-License-Identifier: Apache-2.0
// A traffic experiment as one file that needs nothing else: the table, and a figure of a typical run of each row.

import { formatMs } from '../../common/index.ts';
import type { TrafficExperiment, TrafficRecord } from '../../experiment/index.ts';
import { htmlPage } from '../html-page.ts';
import { el } from '../markup.ts';
import { tableCells } from './markdown.ts';
import { nicFigure } from './nic-figure.ts';
import type { TrafficRow } from './rows.ts';

/** The run whose total time is nearest to the median of its row. */
export function typicalRun({ records, tmtMs }: TrafficRow): TrafficRecord | null {
  const wanted = tmtMs?.median ?? 0;
  const off = ({ gang }: TrafficRecord): number => Math.abs((gang?.tmt_ms ?? Infinity) - wanted);
  return records.toSorted((a, b) => off(a) - off(b))[0] ?? null;
}

export interface TrafficPage {
  readonly experiment: TrafficExperiment;
  readonly rows: readonly TrafficRow[];
  readonly linkBytesPerSec: number;
  readonly machine: Readonly<Record<string, string | number | null>>;
}

export function trafficHtml({ experiment, rows, linkBytesPerSec, machine }: TrafficPage): string {
  const { head, cells } = tableCells(rows);
  const figures = rows.flatMap((row, i) => {
    const record = typicalRun(row);
    const figure = record === null ? null : nicFigure(experiment, record, linkBytesPerSec, `nic-${i}`);
    return figure === null ? [] : [el('figure', {}, figure)];
  });
  return htmlPage(
    `${experiment.name}: ${experiment.title}`,
    el('h1', {}, experiment.title),
    experiment.about === null ? null : el('p', { class: 'lead' }, experiment.about.trim()),
    el(
      'dl',
      { class: 'conditions' },
      el('dt', {}, 'link'),
      el('dd', {}, experiment.link),
      el('dt', {}, 'settled'),
      el('dd', {}, formatMs(experiment.settleMs)),
      Object.entries(machine).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value ?? '-')]),
    ),
    el('h2', {}, 'All figures'),
    el(
      'p',
      { class: 'muted' },
      'Medians, 95 % bootstrap intervals in parentheses. Floor kept: share of 100 ms windows during the migrations in which at least 95 % of the floor, or of the offer where that is less, arrived. Link used: without the second after each step of the offer.',
    ),
    el(
      'div',
      { class: 'scroll' },
      el(
        'table',
        {},
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            head.map((text) => el('th', { scope: 'col' }, text)),
          ),
        ),
        el(
          'tbody',
          {},
          cells.map((row) =>
            el(
              'tr',
              {},
              row.map(({ text, detail }) =>
                el('td', {}, text, detail === null ? null : el('small', {}, detail)),
              ),
            ),
          ),
        ),
      ),
    ),
    el('h2', {}, 'Who had the NIC'),
    el('p', { class: 'muted' }, 'The run of each row whose total time is nearest to its median.'),
    el('div', { class: 'pair' }, figures),
  );
}
