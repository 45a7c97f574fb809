// SPDX-License-Identifier: Apache-2.0
// The whole report as one file that needs nothing else: no network, no script, no font.

import { conditionsOf, lossesOf, METHOD } from './conditions.ts';
import { downtimeEcdf } from './figures/downtime-ecdf.ts';
import { policyStyles } from './figures/palette.ts';
import type { TimelineInput } from './figures/timeline-data.ts';
import { tmtBars } from './figures/tmt-bars.ts';
import { htmlPage } from './html-page.ts';
import { againstTable, cellTable, verdictList } from './html-parts.ts';
import { timelineSection } from './html-timelines.ts';
import { type Child, el, type Markup } from './markup.ts';
import type { Report } from './report.ts';
import { policyOrder } from './result-set.ts';

function section(title: string, ...children: readonly Child[]): Markup {
  return el('section', {}, el('h2', {}, title), ...children);
}

function paragraph(text: string, className: string | null = null): Markup {
  return el('p', { class: className }, text);
}

function conditionsSection(report: Report): Markup {
  const { commands } = report.set;
  return section(
    'Conditions',
    el(
      'dl',
      { class: 'conditions' },
      conditionsOf(report).map(({ name, value }) => [el('dt', {}, name), el('dd', {}, value)]),
    ),
    commands === undefined || commands.trim() === ''
      ? null
      : [el('h3', {}, 'To do it again'), el('pre', {}, commands)],
  );
}

function figureSections(report: Report): Child {
  const styles = policyStyles(policyOrder(report.set));
  return [
    section(
      'Total migration time',
      paragraph(
        'Bars reach to the median, the line with ends is its 95 % interval, each dot one run. Hatched: runs that did not finish. The dotted line is the floor.',
        'muted',
      ),
      el(
        'div',
        { class: 'pair' },
        report.settings.map((setting, index) => el('figure', {}, tmtBars(setting, styles, `tmt-${index}`))),
      ),
    ),
    section(
      'Downtime',
      paragraph(
        'Share of runs whose downtime was at most that long, on one axis for the three clocks. A line that stays below 100 % belongs to a policy that did not always finish.',
        'muted',
      ),
      report.settings.map((setting, index) => {
        const figure = downtimeEcdf(setting, styles, `downtime-${index}`);
        return figure === null
          ? paragraph(`${setting.guest} on ${setting.link}: no downtime was measured.`)
          : el('figure', {}, figure);
      }),
    ),
  ];
}

function tableSection(report: Report): Markup {
  return section(
    'All figures',
    paragraph(
      'Medians; below them the 95 % interval or the P90, as the heading says. Bold: the least among policies that always finished.',
      'muted',
    ),
    el('div', { class: 'scroll' }, cellTable(report)),
  );
}

function againstSection(report: Report): Child {
  if (report.against.length === 0) return null;
  return section(
    'The adaptive policy beside the others',
    paragraph(
      'Ratio of median total times, and differences of runs of the same repeat (ours - other; below zero: ours is faster). p is of a sign-flip permutation test, not corrected for the number of rows.',
      'muted',
    ),
    el('div', { class: 'scroll' }, againstTable(report.against)),
  );
}

function body(report: Report, timelines: readonly TimelineInput[]): Child {
  const { set } = report;
  const losses = lossesOf(report);
  const head = el(
    'header',
    {},
    el('h1', {}, set.title),
    set.about === '' ? null : paragraph(set.about, 'lead'),
    losses.map((loss) => paragraph(loss, 'alarm')),
  );
  const method = section(
    'How to read this',
    el(
      'ul',
      {},
      METHOD.map((line) => el('li', {}, line)),
    ),
  );
  if (report.settings.length === 0) {
    return [head, paragraph('There are no runs to report on yet.'), conditionsSection(report), method];
  }
  return [
    head,
    conditionsSection(report),
    section('Verdicts', verdictList(report.verdicts)),
    tableSection(report),
    figureSections(report),
    againstSection(report),
    timelineSection(report.settings, timelines),
    method,
  ];
}

/**
 * @param timelines what the caller read of the runs that `chooseTimelineRuns` names; those beyond the size that a report
 * may have are left out, which it says
 */
export function renderHtml(report: Report, timelines: readonly TimelineInput[]): string {
  return htmlPage(report.set.title, body(report, timelines));
}
