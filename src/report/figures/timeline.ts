// SPDX-License-Identifier: Apache-2.0
// Figure (c): one migration from start to end. Lanes share the time axis: what remains, the bandwidth, the forecast and
// the guest's work. Rounds are ticks through all lanes, silences of the guest are shaded, decisions are numbered.

import { formatMs, MIB } from '../../common/index.ts';
import { formatRatio } from '../format.ts';
import { el, fragment, type Markup } from '../markup.ts';
import { linearScale, niceTicks, type Scale } from './scale.ts';
import { bottomAxis, label, leftAxis, linePath, segment, SMALL_PX, svgFigure } from './svg.ts';
import { textWidthPx } from './text.ts';
import { timeUnitFor } from './time-axis.ts';
import { decisionMarks, MARKS_TOP_PX, shownDecisions } from './timeline-marks.ts';
import type { Point, Timeline } from './timeline-data.ts';

const WIDTH_PX = 1136;
const LEFT_PX = 72;
const RIGHT_PX = 16;
const LANE_TITLE_PX = 24;
const LANE_GAP_PX = 12;
const ROUND_GAP_PX = 15;

interface Lane {
  readonly title: string;
  readonly heightPx: number;
  readonly draw: (x: Scale, topPx: number, bottomPx: number) => Markup;
}

function laneScale(most: number, topPx: number, bottomPx: number): Scale {
  const ticks = bottomPx - topPx > 90 ? 4 : 3;
  return linearScale(0, most > 0 ? most * 1.08 : 1, bottomPx, topPx, ticks);
}

/** A line over an area from zero; `stepped`: each value holds for the time before it. */
function areaLane(
  title: string,
  heightPx: number,
  points: readonly Point[],
  unit: number,
  className: string,
): Lane {
  return {
    title,
    heightPx,
    draw: (x, topPx, bottomPx) => {
      const y = laneScale(Math.max(...points.map(({ value }) => value)) / unit, topPx, bottomPx);
      const line = points.map(({ atMs, value }): [number, number] => [x.px(atMs), y.px(value / unit)]);
      const ends: [number, number][] = [
        [line.at(-1)?.[0] ?? x.startPx, bottomPx],
        [line[0]?.[0] ?? x.startPx, bottomPx],
      ];
      return fragment(
        leftAxis(y, { leftPx: x.startPx, rightPx: x.endPx }),
        el('path', { d: `${linePath([...line, ...ends])}Z`, class: `area ${className}` }),
        el('path', { d: linePath(line), class: `line ${className}` }),
      );
    },
  };
}

/** The forecast with its band; dashed what the TMT turned out to be. */
function forecastLane(timeline: Timeline, tmtMs: number | null): Lane {
  const { forecast } = timeline;
  const most = Math.max(tmtMs ?? 0, ...forecast.map(({ highMs }) => highMs));
  const unit = timeUnitFor(most);
  // Not from zero: what matters is how far it is from what came.
  const least = Math.min(tmtMs ?? most, ...forecast.map(({ lowMs }) => lowMs));
  const marginMs = Math.max(0.15 * (most - least), 0.02 * most);
  return {
    title: `total time forecast if switched now (${unit.name}), with its error band${tmtMs === null ? '' : '; dashed: as it came out'}`,
    heightPx: 84,
    draw: (x, topPx, bottomPx) => {
      const fromMs = Math.max(0, least - marginMs);
      const y = linearScale(fromMs / unit.ms, (most + marginMs) / unit.ms, bottomPx, topPx, 3);
      const at = (atMs: number, ms: number): [number, number] => [x.px(atMs), y.px(ms / unit.ms)];
      const upper = forecast.map(({ atMs, highMs }) => at(atMs, highMs));
      const lower = forecast.map(({ atMs, lowMs }) => at(atMs, lowMs)).reverse();
      return fragment(
        leftAxis(y, { leftPx: x.startPx, rightPx: x.endPx }),
        el('path', { d: `${linePath([...upper, ...lower])}Z`, class: 'band' }),
        el('path', {
          d: linePath(forecast.map((each) => at(each.atMs, each.tmtMs))),
          class: 'line forecast',
        }),
        tmtMs === null
          ? null
          : segment(x.startPx, y.px(tmtMs / unit.ms), x.endPx, y.px(tmtMs / unit.ms), 'actual'),
      );
    },
  };
}

/** Work per second relative to before the migration, where that was measured: no unit is left to explain. */
function workLane(timeline: Timeline, workBefore: number | null): Lane {
  const relative = workBefore !== null && workBefore > 0;
  const lane = areaLane(
    relative ? "guest's work rate (before the migration = 1)" : "guest's work rate (per second)",
    84,
    timeline.workPerSec,
    relative ? workBefore : 1,
    'work',
  );
  if (!relative) return lane;
  return {
    ...lane,
    draw: (x, topPx, bottomPx) => {
      const most = Math.max(...timeline.workPerSec.map(({ value }) => value)) / workBefore;
      const y = laneScale(most, topPx, bottomPx);
      return fragment(lane.draw(x, topPx, bottomPx), segment(x.startPx, y.px(1), x.endPx, y.px(1), 'actual'));
    },
  };
}

/** Round numbers above their ticks; where rounds are shorter than a number is wide, only some are named. */
function roundTicks(timeline: Timeline, x: Scale, topPx: number, bottomPx: number): Markup {
  let freeFromPx = -Infinity;
  return fragment(
    timeline.rounds.map(({ atMs, round }) => {
      const at = x.px(atMs);
      const text = String(round);
      const widthPx = textWidthPx(text, SMALL_PX);
      const isNamed = at - widthPx / 2 >= freeFromPx;
      if (isNamed) freeFromPx = at + widthPx / 2 + 6;
      return [
        segment(at, topPx, at, bottomPx, 'round'),
        isNamed ? label(at, topPx - 4, text, 't small muted', 'middle') : null,
      ];
    }),
  );
}

/** The guest's silences through all lanes; the longest in words. */
function silences(timeline: Timeline, x: Scale, topPx: number, bottomPx: number): Markup {
  return fragment(
    timeline.silences.map(({ startMs, endMs }) =>
      el('rect', {
        x: x.px(startMs),
        y: topPx,
        width: Math.max(1, x.px(endMs) - x.px(startMs)),
        height: bottomPx - topPx,
        class: 'silence',
      }),
    ),
  );
}

function lanesOf(timeline: Timeline, tmtMs: number | null, workBefore: number | null): Lane[] {
  const lanes: Lane[] = [];
  if (timeline.remainingBytes.length > 1) {
    lanes.push(areaLane('memory still to send (MiB)', 132, timeline.remainingBytes, MIB, 'remaining'));
  }
  if (timeline.bandwidthBytesPerSec.length > 1) {
    lanes.push(areaLane('bandwidth (MB/s)', 72, timeline.bandwidthBytesPerSec, 1e6, 'bandwidth'));
  }
  if (timeline.forecast.length > 1) lanes.push(forecastLane(timeline, tmtMs));
  if (timeline.workPerSec.length > 1) lanes.push(workLane(timeline, workBefore));
  return lanes;
}

/** Null where there is nothing to draw. */
export function timelineFigure(
  figure: { readonly id: string; readonly title: string },
  timeline: Timeline,
  run: { readonly tmtMs: number | null; readonly workBefore: number | null },
): Markup | null {
  const lanes = lanesOf(timeline, run.tmtMs, run.workBefore);
  if (lanes.length === 0) return null;
  const unit = timeUnitFor(timeline.toMs);
  const x = linearScale(timeline.fromMs, timeline.toMs, LEFT_PX, WIDTH_PX - RIGHT_PX, 10);
  const marks = decisionMarks(shownDecisions(timeline.decisions), x);
  const lanesTopPx = MARKS_TOP_PX + marks.heightPx + ROUND_GAP_PX;
  let topPx = lanesTopPx;
  const drawn = lanes.map((lane) => {
    const plotTopPx = topPx + LANE_TITLE_PX;
    const bottomPx = plotTopPx + lane.heightPx;
    topPx = bottomPx + LANE_GAP_PX;
    return { lane, plotTopPx, bottomPx };
  });
  const bottomPx = topPx - LANE_GAP_PX;
  // Ticks at round values of the unit that is shown, not of milliseconds.
  const inUnits = {
    ...linearScale(timeline.fromMs / unit.ms, timeline.toMs / unit.ms, x.startPx, x.endPx, 10),
    ticks: niceTicks(timeline.fromMs / unit.ms, timeline.toMs / unit.ms, 10),
  };
  const { postcopy } = timeline;
  return svgFigure(
    { ...figure, widthPx: WIDTH_PX, heightPx: bottomPx + 44 },
    marks.heightPx > 0 ? label(0, MARKS_TOP_PX + 14, 'decisions', 't small muted') : null,
    timeline.rounds.length > 0 ? label(0, lanesTopPx - 4, 'rounds', 't small muted') : null,
    bottomAxis(inUnits, { topPx: lanesTopPx, bottomPx }, `time since the migrate command (${unit.name})`),
    postcopy === null
      ? null
      : el('rect', {
          x: x.px(postcopy.startMs),
          y: lanesTopPx,
          width: Math.max(1, x.px(postcopy.endMs) - x.px(postcopy.startMs)),
          height: bottomPx - lanesTopPx,
          class: 'postcopy',
        }),
    silences(timeline, x, lanesTopPx, bottomPx),
    roundTicks(timeline, x, lanesTopPx, bottomPx),
    marks.guides(lanesTopPx, bottomPx),
    drawn.map(({ lane, plotTopPx, bottomPx: laneBottomPx }) => [
      lane.draw(x, plotTopPx, laneBottomPx),
      segment(x.startPx, laneBottomPx, x.endPx, laneBottomPx, 'axis'),
      el('rect', {
        x: x.startPx + 2,
        y: plotTopPx - LANE_TITLE_PX + 4,
        width: textWidthPx(lane.title, SMALL_PX) + 8,
        height: 17,
        rx: 3,
        class: 'plate',
      }),
      label(x.startPx + 6, plotTopPx - LANE_TITLE_PX + 17, lane.title, 't small'),
    ]),
    marks.markup,
  );
}

/** "silent for 188 ms", the longest silence of a run; null where nothing was heard of any. */
export function longestSilence(timeline: Timeline): string | null {
  const longestMs = Math.max(0, ...timeline.silences.map(({ startMs, endMs }) => endMs - startMs));
  return longestMs > 0 ? formatMs(longestMs) : null;
}

/** For captions: "1.22 x the floor". */
export function timesFloor(tmtMs: number | null, floorMs: number | null): string | null {
  return tmtMs === null || floorMs === null || floorMs <= 0
    ? null
    : `${formatRatio(tmtMs / floorMs)} x the floor`;
}
