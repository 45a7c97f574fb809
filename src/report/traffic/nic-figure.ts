// SPDX-License-Identifier: Apache-2.0
// Who had the source's link over time in one run: workload below, migrations on top of it (and what migrating guests send, where they
// do), the workload's offer and its floor drawn in.

import type { FlowWindows, TrafficExperiment, TrafficRecord } from '../../experiment/index.ts';
import { linearScale } from '../figures/scale.ts';
import { bottomAxis, label, leftAxis, linePath, segment, svgFigure } from '../figures/svg.ts';
import { fitText } from '../figures/text.ts';
import { el, type Markup } from '../markup.ts';
import { bytesWithin, leavingSource } from './figures.ts';

const WIDTH_PX = 560;
const LEFT_PX = 52;
const RIGHT_PX = 14;
const TOP_PX = 58;
const PLOT_PX = 170;
/** Shown before the first migration's begin and after the last one's end. */
const MARGIN_MS = 700;
const BITS = 8;

interface Sample {
  readonly atMs: number;
  readonly mbit: number;
}

function mbitOf(bytes: number, ms: number): number {
  return (bytes * BITS) / (ms * 1000);
}

/** Mean rate of several within a window. */
function rateWithin(windows: readonly FlowWindows[], fromMs: number, toMs: number): number {
  const bytes = windows.reduce((sum, each) => sum + bytesWithin(each, fromMs, toMs), 0);
  return mbitOf(bytes, toMs - fromMs);
}

/** Steps, not slopes: a window's rate holds for the window. */
function staircase(samples: readonly Sample[], windowMs: number): readonly (readonly [number, number])[] {
  return samples.flatMap(({ atMs, mbit }) => [[atMs, mbit] as const, [atMs + windowMs, mbit] as const]);
}

/** Null for a run without windows. */
export function nicFigure(
  experiment: TrafficExperiment,
  record: TrafficRecord,
  linkBytesPerSec: number,
  id: string,
): Markup | null {
  const { source, beganMs, endedMs } = record;
  if (source === null || beganMs === null || endedMs === null) return null;
  const { startMs, windowMs, sentBytes } = source;
  const shown = sentBytes
    .map((bytes, i) => ({ beginMs: startMs + i * windowMs, bytes }))
    .filter(({ beginMs }) => beginMs >= beganMs - MARGIN_MS && beginMs + windowMs <= endedMs + MARGIN_MS);
  const flows = leavingSource(record);
  const sample = (of: (beginMs: number, bytes: number) => number): Sample[] =>
    shown.map(({ beginMs, bytes }) => ({ atMs: beginMs - beganMs, mbit: of(beginMs, bytes) }));
  const total = sample((_, bytes) => mbitOf(bytes, windowMs));
  const workload = sample((beginMs) =>
    rateWithin(
      flows.map(({ received }) => received),
      beginMs,
      beginMs + windowMs,
    ),
  );
  const offer = sample((beginMs) =>
    rateWithin(
      flows.map(({ sent }) => sent),
      beginMs,
      beginMs + windowMs,
    ),
  );
  const linkMbit = mbitOf(linkBytesPerSec, 1000);
  const bottomPx = TOP_PX + PLOT_PX;
  const x = linearScale(
    -MARGIN_MS / 1000,
    (endedMs - beganMs + MARGIN_MS) / 1000,
    LEFT_PX,
    WIDTH_PX - RIGHT_PX,
    8,
  );
  const most = Math.max(linkMbit, ...offer.map(({ mbit }) => mbit)) * 1.05;
  const y = linearScale(0, most, bottomPx, TOP_PX, 4);
  const toPx = (points: readonly (readonly [number, number])[]) =>
    points.map(([ms, mbit]) => [x.px(ms / 1000), y.px(mbit)] as const);
  const area = (upper: readonly Sample[], lower: readonly Sample[]): string => {
    const up = toPx(staircase(upper, windowMs));
    const down = toPx(staircase(lower, windowMs)).toReversed();
    return `${linePath([...up, ...down])}Z`;
  };
  const zero = workload.map(({ atMs }) => ({ atMs, mbit: 0 }));
  const floorMbit = experiment.floorBytesPerSec === null ? null : mbitOf(experiment.floorBytesPerSec, 1000);
  const own = experiment.cases.find(({ name }) => name === record.case);
  const sends = own?.vms.some(({ sendsBytesPerSec }) => sendsBytesPerSec > 0) === true;
  const legend = [
    { text: sends ? 'migrations, guests' : 'migrations', colour: 'var(--c0)', atPx: 0 },
    { text: 'workload, as it arrives', colour: 'var(--c2)', atPx: 130 },
    { text: 'its offer', colour: 'var(--c1)', atPx: 300 },
    ...(floorMbit === null ? [] : [{ text: 'its floor', colour: 'var(--ink)', atPx: 385 }]),
  ];
  const title = `${record.case}, ${record.policy}`;
  return svgFigure(
    {
      id,
      title: `Rates on the source's NIC over time by class: ${title}`,
      widthPx: WIDTH_PX,
      heightPx: bottomPx + 44,
    },
    label(2, 18, fitText(title, 15, WIDTH_PX - 4), 't title'),
    legend.map(({ text, colour, atPx }) => [
      el('rect', { x: LEFT_PX + atPx, y: 30, width: 11, height: 11, fill: colour }),
      label(LEFT_PX + atPx + 16, 40, text, 't small'),
    ]),
    leftAxis(y, { leftPx: LEFT_PX, rightPx: WIDTH_PX - RIGHT_PX }),
    bottomAxis(x, { topPx: TOP_PX, bottomPx }, "s since the first migration's begin; Mbit/s on the wire"),
    el('path', { d: area(total, workload), fill: 'var(--c0)', 'fill-opacity': 0.45 }),
    el('path', { d: area(workload, zero), fill: 'var(--c2)', 'fill-opacity': 0.55 }),
    el('path', {
      d: linePath(toPx(staircase(offer, windowMs))),
      fill: 'none',
      stroke: 'var(--c1)',
      'stroke-width': 1.6,
    }),
    floorMbit === null
      ? null
      : el('line', {
          x1: x.startPx,
          x2: x.endPx,
          y1: y.px(floorMbit),
          y2: y.px(floorMbit),
          stroke: 'var(--ink)',
          'stroke-width': 1.4,
          'stroke-dasharray': '5 4',
        }),
    segment(x.startPx, y.px(linkMbit), x.endPx, y.px(linkMbit), 'axis'),
  );
}
