// SPDX-License-Identifier: Apache-2.0
// Figure (b): how downtimes are distributed on one guest and link, one panel for each clock, one line for each policy.
// A line ends at the share of runs that finished: what never finished never reaches the top.

import type { Cell, Setting } from '../cells.ts';
import { el, fragment, type Markup } from '../markup.ts';
import type { Summary } from '../statistics.ts';
import { type PolicyStyle, styleOf } from './palette.ts';
import { linearScale, logScale, type Scale } from './scale.ts';
import { bottomAxis, label, leftAxis, linePath, segment, SMALL_PX, svgFigure } from './svg.ts';
import { fitText, textWidthPx } from './text.ts';

const WIDTH_PX = 1136;
const LEFT_PX = 48;
const GAP_PX = 50;
const RIGHT_PX = 20;
const TOP_PX = 62;
const PLOT_PX = 210;
const LEGEND_ROW_PX = 22;
const SWATCH_PX = 30;

interface Clock {
  readonly title: string;
  readonly of: (cell: Cell) => Summary | null;
}

const CLOCKS: readonly Clock[] = [
  { title: 'as QEMU says', of: ({ downtimeQemuMs }) => downtimeQemuMs },
  { title: 'STOP to RESUME', of: ({ downtimeStopToResumeMs }) => downtimeStopToResumeMs },
  { title: 'as a client of the guest sees it', of: ({ downtimeGuestMs }) => downtimeGuestMs },
];

/**
 * Steps of the empirical distribution; `outOf` runs, those that never finished included: their share is missing at the
 * top, and a level line to the edge shows it.
 */
function steps(values: readonly number[], outOf: number, x: Scale, y: Scale): [number, number][] {
  const sorted = [...values].sort((a, b) => a - b);
  const points: [number, number][] = [];
  sorted.forEach((value, index) => {
    points.push([x.px(value), y.px(index / outOf)], [x.px(value), y.px((index + 1) / outOf)]);
  });
  if (sorted.length < outOf) points.push([x.endPx, y.px(sorted.length / outOf)]);
  return points;
}

/** Ours last, so that it lies on top. */
function drawOrder(cells: readonly Cell[], styles: ReadonlyMap<string, PolicyStyle>): Cell[] {
  return [...cells].sort((a, b) => styleOf(styles, a.policy).widthPx - styleOf(styles, b.policy).widthPx);
}

function curve(cell: Cell, clock: Clock, x: Scale, y: Scale, style: PolicyStyle): Markup | null {
  const summary = clock.of(cell);
  if (summary === null) return null;
  const unfinished = cell.runs.length - (cell.completion?.successes ?? 0);
  return el('path', {
    d: linePath(steps(summary.values, summary.n + unfinished, x, y)),
    stroke: style.colour,
    'stroke-width': style.widthPx,
    'stroke-dasharray': style.dash,
    class: 'curve',
  });
}

/** Line samples with names, in as many rows as they need. */
function legend(
  cells: readonly Cell[],
  styles: ReadonlyMap<string, PolicyStyle>,
  topPx: number,
): { markup: Markup; heightPx: number } {
  let x = LEFT_PX;
  let row = 0;
  const entries = cells.map((cell) => {
    const { completion } = cell;
    const finished = completion === null ? 'no runs' : `${completion.successes} of ${completion.n} finished`;
    const text = fitText(`${cell.policy}, ${finished}`, SMALL_PX, WIDTH_PX - LEFT_PX - SWATCH_PX);
    const widthPx = SWATCH_PX + 8 + textWidthPx(text, SMALL_PX) + 20;
    if (x > LEFT_PX && x + widthPx > WIDTH_PX) {
      x = LEFT_PX;
      row++;
    }
    const y = topPx + row * LEGEND_ROW_PX;
    const style = styleOf(styles, cell.policy);
    const entry = fragment(
      el('line', {
        x1: x,
        y1: y,
        x2: x + SWATCH_PX,
        y2: y,
        stroke: style.colour,
        'stroke-width': style.widthPx,
        'stroke-dasharray': style.dash,
      }),
      label(x + SWATCH_PX + 8, y + 4, text, completion?.rate === 1 ? 't small' : 't small muted'),
    );
    x += widthPx;
    return entry;
  });
  return { markup: fragment(entries), heightPx: (row + 1) * LEGEND_ROW_PX };
}

/** Null where no clock measured anything. */
export function downtimeEcdf(
  setting: Setting,
  styles: ReadonlyMap<string, PolicyStyle>,
  id: string,
): Markup | null {
  const { guest, link, cells } = setting;
  const values = cells.flatMap((cell) => CLOCKS.flatMap((clock) => clock.of(cell)?.values ?? []));
  if (values.length === 0) return null;
  // QEMU counts whole milliseconds: below half of one there is nothing to see.
  const least = Math.max(0.5, Math.min(...values));
  const most = Math.max(least * 2, ...values);
  const panelPx = (WIDTH_PX - LEFT_PX - GAP_PX * (CLOCKS.length - 1) - RIGHT_PX) / CLOCKS.length;
  const bottomPx = TOP_PX + PLOT_PX;
  const title = `${guest} on ${link}`;
  const y = linearScale(0, 1, bottomPx, TOP_PX, 4);
  const panels = CLOCKS.map((clock, index) => {
    const leftPx = LEFT_PX + index * (panelPx + GAP_PX);
    const x = logScale(least, most, leftPx, leftPx + panelPx);
    const isEmpty = cells.every((cell) => clock.of(cell) === null);
    return fragment(
      label(leftPx, TOP_PX - 12, clock.title, 't strong'),
      leftAxis({ ...y, ticks: [0, 0.25, 0.5, 0.75, 1] }, { leftPx, rightPx: leftPx + panelPx }, (share) =>
        index === 0 ? `${share * 100} %` : '',
      ),
      bottomAxis(x, { topPx: TOP_PX, bottomPx }, 'downtime (ms)', (ms) => String(ms)),
      segment(leftPx, TOP_PX, leftPx, bottomPx, 'axis'),
      drawOrder(cells, styles).map((cell) => curve(cell, clock, x, y, styleOf(styles, cell.policy))),
      isEmpty
        ? label(leftPx + panelPx / 2, (TOP_PX + bottomPx) / 2, 'not measured', 't muted', 'middle')
        : null,
    );
  });
  const names = legend(cells, styles, bottomPx + 58);
  return svgFigure(
    {
      id,
      title: `Share of runs with at most that downtime, by clock: ${title}`,
      widthPx: WIDTH_PX,
      heightPx: bottomPx + 46 + names.heightPx,
    },
    label(2, 18, fitText(title, 15, WIDTH_PX - 4), 't title'),
    panels,
    names.markup,
  );
}
