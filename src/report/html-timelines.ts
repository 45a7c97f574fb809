// SPDX-License-Identifier: Apache-2.0
// The section of single migrations: figure, caption and the reasons of its decisions, as many as the file's size allows.

import { formatMs } from '../common/index.ts';
import type { RunRecord } from '../experiment/index.ts';
import { longestSilence, timelineFigure, timesFloor } from './figures/timeline.ts';
import { type Timeline, type TimelineInput, timelineOf } from './figures/timeline-data.ts';
import { type NumberedDecision, shownDecisions } from './figures/timeline-marks.ts';
import type { Setting } from './cells.ts';
import { count } from './format.ts';
import type { Markup } from './markup.ts';
import { type Child, el } from './markup.ts';
import { isCompleted, keyOf } from './result-set.ts';

/** Leaves room for the rest of a page that is to stay below 3 MB. */
const MOST_BYTES = 2_000_000;

function outcomeText(record: RunRecord): string {
  if (isCompleted(record) && record.tmtMs !== null) {
    const parts = [`completed in ${formatMs(record.tmtMs)}`, timesFloor(record.tmtMs, record.floorMs)];
    return parts.filter((part) => part !== null).join(', ');
  }
  return record.capped ? 'not finished, ended by the time cap' : `not finished: ${record.outcome}`;
}

function caption(record: RunRecord, timeline: Timeline): Markup {
  const silence = longestSilence(timeline);
  return el(
    'figcaption',
    {},
    el('strong', {}, `${record.guest} on ${record.link}, ${record.policy}: ${outcomeText(record)}. `),
    `${isCompleted(record) ? 'The completed run nearest to the median' : 'The middle one of its runs'} (repeat ${record.repeat}).`,
    silence === null
      ? null
      : [el('span', { class: 'key silence' }), `the guest is silent (longest ${silence})`],
    timeline.postcopy === null ? null : [el('span', { class: 'key postcopy' }), 'post-copy'],
  );
}

function reasons(shown: readonly NumberedDecision[], all: number): Child {
  if (shown.length === 0) return null;
  const left = all - shown.length;
  return [
    el(
      'ol',
      { class: 'decisions' },
      shown.map(({ atMs, label, text }) =>
        el(
          'li',
          {},
          el('span', { class: 'muted nowrap' }, `${formatMs(Math.max(0, atMs))}: `),
          text === '' ? label : text,
        ),
      ),
    ),
    left > 0 ? el('p', { class: 'muted' }, `${count(left, 'more decision')}, to go on or alike.`) : null,
  ];
}

function timelineArticle(input: TimelineInput, index: number): Markup | null {
  const timeline = timelineOf(input);
  if (timeline === null) return null;
  const { record } = input;
  const figure = timelineFigure(
    {
      id: `timeline-${index}`,
      title: `One migration over time: ${record.guest} on ${record.link} with ${record.policy}, ${outcomeText(record)}`,
    },
    timeline,
    { tmtMs: isCompleted(record) ? record.tmtMs : null, workBefore: record.workPerSec.before },
  );
  if (figure === null) return null;
  return el(
    'figure',
    {},
    caption(record, timeline),
    figure,
    reasons(shownDecisions(timeline.decisions), timeline.decisions.length),
  );
}

interface Article {
  readonly key: string;
  readonly markup: Markup;
}

/** Null where there is not a single run to show. */
export function timelineSection(settings: readonly Setting[], inputs: readonly TimelineInput[]): Child {
  let bytes = 0;
  const articles = inputs
    .flatMap((input, index): Article[] => {
      const markup = timelineArticle(input, index);
      return markup === null ? [] : [{ key: keyOf(input.record.guest, input.record.link), markup }];
    })
    .filter(({ markup }) => (bytes += markup.text.length) <= MOST_BYTES);
  if (articles.length === 0) return null;
  const left = settings.filter(({ guest, link }) => articles.every(({ key }) => key !== keyOf(guest, link)));
  const names = left.map(({ guest, link }) => `${guest} on ${link}`).join(', ');
  return el(
    'section',
    {},
    el('h2', {}, 'From start to end'),
    el(
      'p',
      { class: 'muted' },
      'Of each guest and link the typical run of the adaptive policy, and of one other. The error band of the forecast is laid on the time that was still to come.',
    ),
    articles.map(({ markup }) => markup),
    left.length > 0
      ? el(
          'p',
          { class: 'muted' },
          `Not shown, to keep this file small or because nothing was recorded: ${names}.`,
        )
      : null,
  );
}
