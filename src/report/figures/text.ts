// SPDX-License-Identifier: Apache-2.0
// How wide a text will be. The reader's font is not known here, so the widths are those of a broad sans-serif (DejaVu
// Sans, which is wider than most): what is laid out by them does not overlap elsewhere either.

const NARROW = /[ijlI.,:;'|!()[\] ]/;
const WIDE = /[mwMW@%]/;
const CAPITAL = /[A-Z]/;

function widthEm(character: string): number {
  if (NARROW.test(character)) return 0.4;
  if (WIDE.test(character)) return 0.98;
  if (CAPITAL.test(character)) return 0.74;
  // Beyond Latin a character may be as wide as it is high.
  return character > '\u02af' ? 1.05 : 0.64;
}

export function textWidthPx(text: string, sizePx: number): number {
  let width = 0;
  for (const character of text) width += widthEm(character);
  return width * sizePx;
}

/** The text, or as much of its beginning as fits, with an ellipsis. */
export function fitText(text: string, sizePx: number, maxPx: number): string {
  if (textWidthPx(text, sizePx) <= maxPx) return text;
  let kept = '';
  for (const character of text) {
    if (textWidthPx(`${kept}${character}\u2026`, sizePx) > maxPx) break;
    kept += character;
  }
  return `${kept.trimEnd()}\u2026`;
}
