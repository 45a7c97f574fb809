// SPDX-License-Identifier: Apache-2.0
// The report as Markdown, for pull requests and notes: conditions, verdicts and one table for each guest and link.

import { CLAIMS } from './claims.ts';
import { conditionsOf, lossesOf, METHOD } from './conditions.ts';
import type { Setting } from './cells.ts';
import type { Report } from './report.ts';
import { columnsFor, settingNote } from './table.ts';
import type { Verdict } from './verdict.ts';

/** Data as plain text: nothing in it is taken for markup, a link, or the end of a table's cell. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\r\n]+/g, ' ')
    .replace(/[\\`*_[\]|~]/g, (character) => `\\${character}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function settingTable(setting: Setting, settings: readonly Setting[]): string[] {
  const columns = columnsFor(settings);
  return [
    `### ${escapeMarkdown(`${setting.guest} on ${setting.link}${settingNote(setting)}`)}`,
    '',
    row(['policy', ...columns.map(({ title }) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...setting.cells.map((cell) =>
      row([
        escapeMarkdown(cell.policy),
        ...columns.map(({ of }) => {
          const { main, note, isBest } = of(cell, setting);
          const value = isBest === true ? `**${escapeMarkdown(main)}**` : escapeMarkdown(main);
          return note === '' ? value : `${value} (${escapeMarkdown(note)})`;
        }),
      ]),
    ),
    '',
  ];
}

function verdictLine({ state, guest, link, policy, claim, text, reason }: Verdict): string {
  const why = reason === null ? '' : `. Why: ${escapeMarkdown(reason)}`;
  return `- **${state}** ${escapeMarkdown(`${guest} on ${link}, ${policy}`)}, ${claim}: ${escapeMarkdown(text)}${why}`;
}

function verdictLines(verdicts: readonly Verdict[]): string[] {
  if (verdicts.length === 0) return [];
  const of = (state: Verdict['state']): Verdict[] => verdicts.filter((verdict) => verdict.state === state);
  const claims = Object.entries(CLAIMS).filter(([claim]) =>
    verdicts.some((verdict) => verdict.claim === claim),
  );
  return [
    '## Verdicts',
    '',
    ...claims.map(([claim, words]) => `- ${claim}: ${words}.`),
    '',
    ...[...of('red'), ...of('open'), ...of('green')].map(verdictLine),
    '',
  ];
}

/** Ends with a newline. */
export function renderMarkdown(report: Report): string {
  const { set, settings } = report;
  const lines = [
    `# ${escapeMarkdown(set.title)}`,
    '',
    ...(set.about === '' ? [] : [escapeMarkdown(set.about), '']),
    ...lossesOf(report).flatMap((loss) => [`**${escapeMarkdown(loss)}**`, '']),
    '## Conditions',
    '',
    ...conditionsOf(report).map(({ name, value }) => `- ${escapeMarkdown(name)}: ${escapeMarkdown(value)}`),
    '',
    ...verdictLines(report.verdicts),
    '## Figures',
    '',
    ...(settings.length === 0 ? ['There are no runs to report on yet.', ''] : []),
    ...settings.flatMap((setting) => settingTable(setting, settings)),
    '## How to read this',
    '',
    ...METHOD.map((line) => `- ${line}`),
  ];
  return `${lines.join('\n')}\n`;
}
