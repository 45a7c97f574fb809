// SPDX-License-Identifier: Apache-2.0
// The figures of cells as columns of text, the same in Markdown and in HTML: a main value and what qualifies it.

import { formatBytes, formatMs } from '../common/index.ts';
import { alwaysCompleted, type Cell, type Setting } from './cells.ts';
import { ABSENT, count, formatInterval, formatPercent, formatRatio } from './format.ts';
import type { Summary } from './statistics.ts';

export interface CellText {
  readonly main: string;
  /** In small print below or behind; empty: nothing. */
  readonly note: string;
  /** Something that must not be overlooked. */
  readonly isBad?: boolean;
  /** The least of its setting among policies that always completed. */
  readonly isBest?: boolean;
}

export interface TableColumn {
  readonly title: string;
  /** What the figures are, under the title. */
  readonly note: string;
  readonly of: (cell: Cell, setting: Setting) => CellText;
}

const NOTHING: CellText = { main: ABSENT, note: '' };

function withInterval(summary: Summary | null, format: (value: number) => string): CellText {
  if (summary === null) return NOTHING;
  return { main: format(summary.median), note: formatInterval(summary.median95, format) };
}

function withP90(summary: Summary | null, format: (value: number) => string): CellText {
  if (summary === null) return NOTHING;
  return { main: format(summary.median), note: `P90 ${format(summary.p90)}` };
}

/** A lone policy is not "the best". */
function isLeast(cell: Cell, setting: Setting, of: (cell: Cell) => Summary | null): boolean {
  const medians = setting.cells.filter(alwaysCompleted).flatMap((each) => of(each)?.median ?? []);
  const own = of(cell)?.median;
  return medians.length > 1 && own !== undefined && alwaysCompleted(cell) && own === Math.min(...medians);
}

function completionText(cell: Cell): CellText {
  const { completion, attempts } = cell;
  if (completion === null) {
    return attempts.failed > 0
      ? { main: 'not run', note: count(attempts.failed, 'failed attempt'), isBad: true }
      : { main: 'no runs', note: '' };
  }
  const main = `${completion.successes} of ${completion.n}`;
  if (completion.rate === 1) return { main, note: '' };
  const notes = [
    ...(cell.cappedRuns > 0 ? [`${cell.cappedRuns} capped`] : []),
    ...(cell.hopeless ? ['the rest not run'] : []),
  ];
  return { main, note: notes.join(', '), isBad: true };
}

function lostText(cell: Cell): CellText {
  const { lostPages, lostBlocks, incoherentRuns } = cell;
  if (lostPages === null && lostBlocks === null && incoherentRuns === 0) return NOTHING;
  const notes = [
    ...((lostBlocks ?? 0) > 0 ? [count(lostBlocks ?? 0, 'disk block')] : []),
    ...(incoherentRuns > 0 ? [`${count(incoherentRuns, 'run')} incoherent`] : []),
  ];
  return {
    main: String(lostPages ?? ABSENT),
    note: notes.join(', '),
    isBad: (lostPages ?? 0) > 0 || notes.length > 0,
  };
}

function attemptsText({ attempts, disturbedRuns }: Cell): CellText {
  if (attempts.all === 0) return NOTHING;
  const notes = [
    ...(attempts.disturbed > 0 ? [`${attempts.disturbed} disturbed`] : []),
    ...(disturbedRuns > 0 ? [`of which ${disturbedRuns} counted`] : []),
    ...(attempts.failed > 0 ? [`${attempts.failed} failed`] : []),
  ];
  return { main: String(attempts.all), note: notes.join(', ') };
}

function regretText({ regret }: Cell): CellText {
  return regret === null ? NOTHING : { main: formatRatio(regret.ratio), note: '' };
}

const COLUMNS: readonly TableColumn[] = [
  { title: 'finished', note: 'runs', of: completionText },
  {
    title: 'total time',
    note: 'median, 95 %',
    of: (cell, setting) => ({
      ...withInterval(cell.tmtMs, formatMs),
      isBest: isLeast(cell, setting, ({ tmtMs }) => tmtMs),
    }),
  },
  {
    title: '\u00d7 floor',
    note: 'median',
    of: (cell) => ({ ...withInterval(cell.floorRatio, formatRatio), note: '' }),
  },
  { title: 'regret', note: 'median', of: regretText },
  { title: 'downtime, QEMU', note: 'median, P90', of: (cell) => withP90(cell.downtimeQemuMs, formatMs) },
  {
    title: 'STOP to RESUME',
    note: 'median, P90',
    of: (cell) => withP90(cell.downtimeStopToResumeMs, formatMs),
  },
  {
    title: 'downtime, client',
    note: 'median, P90',
    of: (cell, setting) => ({
      ...withP90(cell.downtimeGuestMs, formatMs),
      isBest: isLeast(cell, setting, ({ downtimeGuestMs }) => downtimeGuestMs),
    }),
  },
  {
    title: 'sent',
    note: 'median',
    of: (cell) => ({ ...withP90(cell.transferredBytes, formatBytes), note: '' }),
  },
  {
    title: 'guest slowdown',
    note: 'median, P90',
    of: (cell) => withP90(cell.slowdownRatio, formatPercent),
  },
];

const APP_COLUMNS: readonly TableColumn[] = [
  { title: '\u00d7 app P99', note: 'median, P90', of: (cell) => withP90(cell.appP99Ratio, formatRatio) },
  {
    title: '\u00d7 app requests',
    note: 'median, P90',
    of: (cell) => withP90(cell.appThroughputRatio, formatRatio),
  },
];

const LOST_WORK_COLUMN: TableColumn = {
  title: 'lost work',
  note: 'median, P90',
  of: (cell) => withP90(cell.lostWorkMs, formatMs),
};

const LAST_COLUMNS: readonly TableColumn[] = [
  { title: 'lost pages', note: 'sum', of: lostText },
  { title: 'attempts', note: 'all', of: attemptsText },
];

/** What a group's heading says behind guest and link: what its ratios are ratios to. */
export function settingNote({ cells, floorMs }: Setting): string {
  const regret = cells.flatMap((cell) => cell.regret ?? [])[0];
  const parts = [
    ...(floorMs === null ? [] : [`floor ${formatMs(floorMs)}`]),
    ...(regret === undefined
      ? []
      : [
          `regret to ${regret.reference}${regret.kind === 'best' ? ' (the fastest that always finished)' : ''}`,
        ]),
  ];
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

/** The columns of a table of these settings; those of an application only where one was under load. */
export function columnsFor(settings: readonly Setting[]): readonly TableColumn[] {
  const hasApp = settings.some(({ cells }) =>
    cells.some(({ appP99Ratio, appThroughputRatio }) => {
      return appP99Ratio !== null || appThroughputRatio !== null;
    }),
  );
  // Records from before it was kept have none.
  const hasLostWork = settings.some(({ cells }) => cells.some(({ lostWorkMs }) => lostWorkMs !== null));
  return [
    ...COLUMNS,
    ...(hasLostWork ? [LOST_WORK_COLUMN] : []),
    ...(hasApp ? APP_COLUMNS : []),
    ...LAST_COLUMNS,
  ];
}
