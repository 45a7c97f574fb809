// SPDX-License-Identifier: Apache-2.0
// Decisions above a timeline: a number and a few words each, in as many rows as keep them apart. The full reasons stand
// below the figure under the same numbers.

import { el, fragment, type Markup } from '../markup.ts';
import type { Scale } from './scale.ts';
import { label, segment, SMALL_PX } from './svg.ts';
import { fitText, textWidthPx } from './text.ts';
import type { Decision } from './timeline-data.ts';

export const MARKS_TOP_PX = 6;
const ROW_PX = 21;
const RADIUS_PX = 8;
const GAP_PX = 10;
const MAX_LABEL_PX = 230;
/** More than these would be noise above a figure; the list below the figure says how many there were. */
const MOST_SHOWN = 14;
/** A few rounds gone on with are part of the story, dozens are not. */
const MOST_CONTINUES = 4;

export interface NumberedDecision extends Decision {
  readonly number: number;
}

/** Those that get a number, in their order. */
export function shownDecisions(decisions: readonly Decision[]): NumberedDecision[] {
  const continues = decisions.filter(({ isContinue }) => isContinue).length;
  return decisions
    .filter(({ isContinue }) => !isContinue || continues <= MOST_CONTINUES)
    .slice(0, MOST_SHOWN)
    .map((decision, index) => ({ ...decision, number: index + 1 }));
}

export interface Marks {
  readonly markup: Markup;
  readonly heightPx: number;
  /** A fine line from each mark down through the lanes. */
  readonly guides: (topPx: number, bottomPx: number) => Markup;
}

/** Where a mark stands: text to the right of its number, or to the left near the right edge. */
function extent(
  atPx: number,
  textPx: number,
  endPx: number,
): { fromPx: number; toPx: number; isLeft: boolean } {
  const neededPx = RADIUS_PX + (textPx > 0 ? 5 + textPx : 0);
  const isLeft = atPx + neededPx > endPx;
  return isLeft
    ? { fromPx: atPx - neededPx, toPx: atPx + RADIUS_PX, isLeft }
    : { fromPx: atPx - RADIUS_PX, toPx: atPx + neededPx, isLeft };
}

interface Placed {
  readonly decision: NumberedDecision;
  readonly text: string;
  readonly atPx: number;
  readonly fromPx: number;
  readonly toPx: number;
  readonly isLeft: boolean;
}

/** A line at that place runs through the mark's words; through its number it may, which is drawn on top. */
function crossesText(atPx: number, { atPx: centrePx, fromPx, toPx, isLeft }: Placed): boolean {
  return isLeft
    ? atPx > fromPx - 2 && atPx < centrePx - RADIUS_PX
    : atPx > centrePx + RADIUS_PX && atPx < toPx + 2;
}

/** No mark touches another, and no line down from a mark runs through the words of one below. */
function fits(mark: Placed, row: number, rows: readonly (readonly Placed[])[]): boolean {
  return rows.every((others, index) =>
    others.every((other) => {
      if (index === row) return mark.fromPx > other.toPx + GAP_PX || mark.toPx < other.fromPx - GAP_PX;
      return index < row ? !crossesText(other.atPx, mark) : !crossesText(mark.atPx, other);
    }),
  );
}

function placed(decision: NumberedDecision, text: string, x: Scale): Placed {
  const atPx = x.px(decision.atMs);
  return { decision, text, atPx, ...extent(atPx, text === '' ? 0 : textWidthPx(text, SMALL_PX), x.endPx) };
}

/** In the first row where it fits, or a new one; where its words fit nowhere the number alone, which the list explains. */
function placeInRows(decisions: readonly NumberedDecision[], x: Scale): Placed[][] {
  const rows: Placed[][] = [];
  for (const decision of decisions) {
    const full = placed(decision, fitText(decision.label, SMALL_PX, MAX_LABEL_PX), x);
    const candidates = [full, placed(decision, '', x)].flatMap((mark) =>
      Array.from({ length: rows.length + 1 }, (_, row) => ({ mark, row })),
    );
    const found = candidates.find(({ mark, row }) => fits(mark, row, rows));
    const { mark, row } = found ?? { mark: placed(decision, '', x), row: rows.length };
    const there = rows[row];
    if (there === undefined) rows.push([mark]);
    else there.push(mark);
  }
  return rows;
}

export function decisionMarks(decisions: readonly NumberedDecision[], x: Scale): Marks {
  const rows = placeInRows(decisions, x);
  const marks = rows.flatMap((inRow, row) => inRow.map((mark) => ({ ...mark, row })));
  const centre = (row: number): number => MARKS_TOP_PX + (row + 0.5) * ROW_PX;
  return {
    heightPx: rows.length * ROW_PX,
    guides: (topPx, bottomPx) =>
      fragment(
        marks.map(({ atPx, row }) => [
          segment(atPx, centre(row) + RADIUS_PX, atPx, topPx, 'guide'),
          segment(atPx, topPx, atPx, bottomPx, 'guide'),
        ]),
      ),
    markup: fragment(
      marks.map(({ decision, atPx, text, row, isLeft }) => [
        el('circle', { cx: atPx, cy: centre(row), r: RADIUS_PX, class: 'badge' }),
        label(atPx, centre(row) + 4, String(decision.number), 't badge-text', 'middle'),
        label(
          atPx + (isLeft ? -1 : 1) * (RADIUS_PX + 5),
          centre(row) + 4,
          text,
          't small',
          isLeft ? 'end' : 'start',
        ),
      ]),
    ),
  };
}
