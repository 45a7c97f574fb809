// SPDX-License-Identifier: Apache-2.0
// A traffic experiment as a Markdown table: what is the same for all rows is left out.

import { formatMs } from '../../common/index.ts';
import type { TrafficExperiment } from '../../experiment/index.ts';
import { ABSENT } from '../format.ts';
import type { Summary } from '../statistics.ts';
import type { TrafficRow } from './rows.ts';

/** What a cell says, and how sure that is. */
export interface TableCell {
  readonly text: string;
  readonly detail: string | null;
}

interface Column {
  readonly head: string;
  readonly cell: (row: TrafficRow) => TableCell;
}

const NOTHING: TableCell = { text: ABSENT, detail: null };

function plain(text: string): TableCell {
  return { text, detail: null };
}

function withInterval(summary: Summary | null, format: (value: number) => string): TableCell {
  if (summary === null) return NOTHING;
  const { median, median95 } = summary;
  return { text: format(median), detail: `${format(median95.low)} to ${format(median95.high)}` };
}

/** Of several VMs: of one it would say once more what its total time says. */
function ofSeveral(row: TrafficRow, cell: TableCell): TableCell {
  return row.records.some(({ gang }) => (gang?.vms.length ?? 0) > 1) ? cell : NOTHING;
}

const tenths = (ms: number): string => `${ms.toFixed(1)} ms`;
const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)} %`;

const COLUMNS: readonly Column[] = [
  { head: 'case', cell: (row) => plain(row.case) },
  { head: 'policy', cell: (row) => plain(row.policy) },
  {
    head: 'runs',
    cell: ({ runs, disturbed, failed }) =>
      plain(
        [
          `${runs}`,
          ...(disturbed === 0 ? [] : [`${disturbed} disturbed`]),
          ...(failed === 0 ? [] : [`${failed} failed`]),
        ].join(', '),
      ),
  },
  { head: 'completed', cell: ({ completed }) => plain(`${completed}`) },
  { head: 'total time', cell: ({ tmtMs }) => withInterval(tmtMs, formatMs) },
  {
    head: 'weighted completion',
    cell: (row) => ofSeveral(row, withInterval(row.weightedMs, formatMs)),
  },
  { head: 'downtime in sum', cell: ({ downtimeSumMs }) => withInterval(downtimeSumMs, formatMs) },
  {
    head: 'longest downtime',
    cell: (row) => ofSeveral(row, withInterval(row.downtimeMaxMs, formatMs)),
  },
  { head: 'floor kept', cell: ({ floorKept }) => withInterval(floorKept, percent) },
  { head: 'link used', cell: ({ linkUse }) => withInterval(linkUse, percent) },
  { head: 'p99 before', cell: ({ p99BeforeMs }) => withInterval(p99BeforeMs, tenths) },
  { head: 'p99 during', cell: ({ p99Ms }) => withInterval(p99Ms, tenths) },
  {
    head: 'deadlines met',
    cell: ({ deadlines, deadlinesMet }) =>
      deadlines === 0 ? NOTHING : plain(`${deadlinesMet} of ${deadlines}`),
  },
  { head: 'lost', cell: ({ lost }) => plain(`${lost}`) },
];

/** Headings and cells of the rows and columns that say something. */
export function tableCells(all: readonly TrafficRow[]): {
  readonly head: readonly string[];
  readonly cells: readonly (readonly TableCell[])[];
} {
  const rows = all.filter(({ runs, failed }) => runs + failed > 0);
  const columns = COLUMNS.filter(({ cell }) => rows.some((row) => cell(row).text !== ABSENT));
  return {
    head: columns.map(({ head }) => head),
    cells: rows.map((row) => columns.map(({ cell }) => cell(row))),
  };
}

/** Medians, 95 % bootstrap intervals in parentheses. */
export function trafficMarkdown(experiment: TrafficExperiment, rows: readonly TrafficRow[]): string {
  const { head, cells } = tableCells(rows);
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  return [
    `# ${experiment.name}: ${experiment.title}`,
    '',
    ...(experiment.about === null ? [] : [experiment.about.trim(), '']),
    `Link ${experiment.link}; medians, 95 % bootstrap intervals in parentheses. Total time is from the first begin to the last end, downtime STOP to`,
    'RESUME; weighted completion sums 4, 2 or 1 (high, medium, low priority) times when each VM was over.',
    '',
    line(head),
    line(head.map(() => '---')),
    ...cells.map((row) =>
      line(row.map(({ text, detail }) => (detail === null ? text : `${text} (${detail})`))),
    ),
    '',
  ].join('\n');
}
