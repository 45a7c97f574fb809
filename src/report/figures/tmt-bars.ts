// SPDX-License-Identifier: Apache-2.0
// Figure (a): total migration time of each policy on one guest and link, as bars from zero with the 95 % interval of the
// median and every single run; what did not finish is hatched and says so.

import { formatMs } from '../../common/index.ts';
import type { Cell, Setting } from '../cells.ts';
import { count, formatRatio } from '../format.ts';
import { el, fragment, type Markup } from '../markup.ts';
import { ADAPTIVE } from '../result-set.ts';
import { type PolicyStyle, styleOf } from './palette.ts';
import { linearScale, type Scale } from './scale.ts';
import { bottomAxis, FONT_PX, hatchPattern, label, segment, SMALL_PX, svgFigure } from './svg.ts';
import { fitText, textWidthPx } from './text.ts';
import { timeUnitFor } from './time-axis.ts';

const WIDTH_PX = 560;
const RIGHT_PX = 118;
const TOP_PX = 58;
const ROW_PX = 34;
const BAR_PX = 18;
const MAX_LABEL_PX = 205;

interface Row {
  readonly cell: Cell;
  readonly centrePx: number;
  readonly style: PolicyStyle;
}

function bar(row: Row, scale: Scale, hatchId: string): Markup {
  const { cell, centrePx, style } = row;
  const { tmtMs, completion, runs } = cell;
  const top = centrePx - BAR_PX / 2;
  if (runs.length === 0 || completion === null) {
    const failed =
      cell.attempts.failed > 0 ? `not measured: ${count(cell.attempts.failed, 'failed attempt')}` : 'no runs';
    return label(scale.startPx + 8, centrePx + 4, failed, 't small muted');
  }
  const medianPx = tmtMs === null ? scale.startPx : scale.px(tmtMs.median);
  const hatched =
    completion.rate === 1
      ? null
      : el('rect', {
          x: medianPx,
          y: top,
          width: Math.max(0, scale.endPx - medianPx),
          height: BAR_PX,
          fill: `url(#${hatchId})`,
          class: 'unfinished',
        });
  if (tmtMs === null) {
    const text = 'not finished';
    const widthPx = textWidthPx(text, SMALL_PX) + 12;
    return fragment(
      hatched,
      el('rect', {
        x: scale.startPx + 8,
        y: top + 1,
        width: widthPx,
        height: BAR_PX - 2,
        rx: 3,
        class: 'plate',
      }),
      label(scale.startPx + 8 + widthPx / 2, centrePx + 4, text, 't small bad', 'middle'),
    );
  }
  const low = scale.px(tmtMs.median95.low);
  const high = scale.px(tmtMs.median95.high);
  return fragment(
    hatched,
    el('rect', {
      x: scale.startPx,
      y: top,
      width: Math.max(0.5, medianPx - scale.startPx),
      height: BAR_PX,
      fill: style.colour,
      stroke: style.colour,
      class: 'bar',
    }),
    // Runs of equal length are told apart by standing on three levels.
    tmtMs.values.map((value, index) =>
      el('circle', {
        cx: scale.px(value),
        cy: centrePx + ((index % 3) - 1) * 4.5,
        r: 2.4,
        fill: style.colour,
        class: 'point',
      }),
    ),
    segment(low, centrePx, high, centrePx, 'whisker'),
    segment(low, centrePx - 5, low, centrePx + 5, 'whisker'),
    segment(high, centrePx - 5, high, centrePx + 5, 'whisker'),
  );
}

/** What stands right of the bars: the median in figures, how often it came through, how far from the floor. */
function figures({ cell, centrePx }: Row, leftPx: number): Markup | null {
  const { tmtMs, completion, floorRatio } = cell;
  if (completion === null) return null;
  const finished = `${completion.successes} of ${completion.n}`;
  if (tmtMs === null) return label(leftPx, centrePx + 4, finished, 't small bad');
  const note =
    completion.rate < 1
      ? { text: `${finished} finished`, className: 't small bad' }
      : {
          text: floorRatio === null ? '' : `\u00d7${formatRatio(floorRatio.median)} floor`,
          className: 't small muted',
        };
  return fragment(
    label(leftPx, centrePx - 2, formatMs(tmtMs.median), 't strong'),
    label(leftPx, centrePx + 12, note.text, note.className),
  );
}

function floorLine(floorMs: number, scale: Scale, bottomPx: number): Markup {
  const x = scale.px(floorMs);
  const text = `floor ${formatMs(floorMs)}`;
  const half = textWidthPx(text, SMALL_PX) / 2;
  const centre = Math.min(scale.endPx - half, Math.max(scale.startPx + half, x));
  return fragment(
    segment(x, TOP_PX - 6, x, bottomPx, 'floor'),
    label(centre, TOP_PX - 11, text, 't small', 'middle'),
  );
}

export function tmtBars(setting: Setting, styles: ReadonlyMap<string, PolicyStyle>, id: string): Markup {
  const { guest, link, cells, floorMs } = setting;
  const names = cells.map(({ policy }) => fitText(policy, FONT_PX, MAX_LABEL_PX));
  const leftPx = Math.max(60, ...names.map((name) => textWidthPx(name, FONT_PX))) + 16;
  const longestMs = Math.max(floorMs ?? 0, ...cells.map(({ tmtMs }) => tmtMs?.max ?? 0));
  const unit = timeUnitFor(longestMs);
  const scale = linearScale(
    0,
    (longestMs > 0 ? longestMs : 1000) * 1.04,
    leftPx,
    WIDTH_PX - RIGHT_PX - 12,
    5,
  );
  const bottomPx = TOP_PX + cells.length * ROW_PX;
  const title = `${guest} on ${link}`;
  const rows = cells.map((cell, index) => ({
    cell,
    centrePx: TOP_PX + (index + 0.5) * ROW_PX,
    style: styleOf(styles, cell.policy),
  }));
  const inUnits = linearScale(0, scale.to / unit.ms, scale.startPx, scale.endPx, 5);
  return svgFigure(
    { id, title: `Total migration time by policy: ${title}`, widthPx: WIDTH_PX, heightPx: bottomPx + 44 },
    hatchPattern(`${id}-hatch`),
    label(2, 18, fitText(title, 15, WIDTH_PX - 4), 't title'),
    bottomAxis(inUnits, { topPx: TOP_PX, bottomPx }, `total migration time (${unit.name})`),
    floorMs === null ? null : floorLine(floorMs, scale, bottomPx),
    rows.map((row) => [
      label(
        leftPx - 10,
        row.centrePx + 4.5,
        names[cells.indexOf(row.cell)] ?? '',
        row.cell.policy === ADAPTIVE ? 't strong' : 't',
        'end',
      ),
      bar(row, scale, `${id}-hatch`),
      figures(row, WIDTH_PX - RIGHT_PX),
    ]),
    segment(leftPx, TOP_PX, leftPx, bottomPx, 'axis'),
  );
}
