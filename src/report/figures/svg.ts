// SPDX-License-Identifier: Apache-2.0
// The parts that all figures share: the frame with its accessible title, text, lines and axes. Classes are those of the
// page's style sheet, which has them in light, dark and for paper.

import { type Child, el, fragment, type Markup } from '../markup.ts';
import { type Scale, tickText } from './scale.ts';

export const FONT_PX = 13;
export const SMALL_PX = 11.5;

/** An svg that scales with the page and says to a screen reader what it shows. */
export function svgFigure(
  figure: {
    readonly id: string;
    readonly title: string;
    readonly widthPx: number;
    readonly heightPx: number;
  },
  ...children: readonly Child[]
): Markup {
  const { id, title, widthPx, heightPx } = figure;
  return el(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${Math.ceil(widthPx)} ${Math.ceil(heightPx)}`,
      width: Math.ceil(widthPx),
      height: Math.ceil(heightPx),
      role: 'img',
      'aria-labelledby': `${id}-title`,
    },
    el('title', { id: `${id}-title` }, title),
    ...children,
  );
}

export type Anchor = 'start' | 'middle' | 'end';

export function label(x: number, y: number, text: string, className = 't', anchor: Anchor = 'start'): Markup {
  return el('text', { x, y, class: className, 'text-anchor': anchor === 'start' ? null : anchor }, text);
}

export function segment(x1: number, y1: number, x2: number, y2: number, className: string): Markup {
  return el('line', { x1, y1, x2, y2, class: className });
}

/** Ticks, their texts and grid lines below a plot, and what the axis shows. */
export function bottomAxis(
  scale: Scale,
  plot: { readonly topPx: number; readonly bottomPx: number },
  title: string,
  format: (value: number) => string = (value) => tickText(value, scale.ticks),
): Markup {
  return fragment(
    scale.ticks.map((tick) => [
      segment(scale.px(tick), plot.topPx, scale.px(tick), plot.bottomPx, 'grid'),
      label(scale.px(tick), plot.bottomPx + 16, format(tick), 't small muted', 'middle'),
    ]),
    segment(scale.startPx, plot.bottomPx, scale.endPx, plot.bottomPx, 'axis'),
    label((scale.startPx + scale.endPx) / 2, plot.bottomPx + 34, title, 't small', 'middle'),
  );
}

/** The same on the left; its title stands above the plot, where it can be read without turning the head. */
export function leftAxis(
  scale: Scale,
  plot: { readonly leftPx: number; readonly rightPx: number },
  format: (value: number) => string = (value) => tickText(value, scale.ticks),
): Markup {
  return fragment(
    scale.ticks.map((tick) => [
      segment(plot.leftPx, scale.px(tick), plot.rightPx, scale.px(tick), 'grid'),
      label(plot.leftPx - 7, scale.px(tick) + 4, format(tick), 't small muted', 'end'),
    ]),
  );
}

/** A path through points; the numbers are rounded to tenths of a pixel. */
export function linePath(points: readonly (readonly [x: number, y: number])[]): string {
  const digits = (value: number): string => String(Math.round(value * 10) / 10);
  return points.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${digits(x)} ${digits(y)}`).join('');
}

/** Diagonal stripes, for what did not finish. */
export function hatchPattern(id: string): Markup {
  return el(
    'defs',
    {},
    el(
      'pattern',
      { id, width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      el('line', { x1: 0, y1: 0, x2: 0, y2: 7, class: 'hatch' }),
    ),
  );
}
