// SPDX-License-Identifier: Apache-2.0
// HTML and SVG as values. Text becomes markup only by being escaped, so that no name, reason or version from outside can
// ever be anything but text. Everything is well-formed XML, too.

/** Markup that is already safe; only this file makes it. */
export class Markup {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** For what is written in this program, such as its style sheet. Never for data. */
  static fromProgram(text: string): Markup {
    return new Markup(text);
  }
}

export type Child = Markup | string | number | null | readonly Child[];

export type Attributes = Readonly<Record<string, string | number | null>>;

/** Elements without content, of HTML and of SVG. All others get an end tag: HTML does not know `<td/>`. */
const EMPTY_ELEMENTS = new Set([
  'meta',
  'br',
  'col',
  'line',
  'rect',
  'circle',
  'path',
  'polyline',
  'polygon',
]);

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for content and attribute values; what XML cannot hold at all becomes U+FFFD. */
export function escapeMarkup(text: string): string {
  return text
    .replace(/[^\P{Cc}\t\n\r]|\p{Cs}|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** A hundredth of a pixel is enough, and keeps the file small. */
function numberText(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function childText(child: Child): string {
  if (child === null) return '';
  if (child instanceof Markup) return child.text;
  if (typeof child === 'number') return numberText(child);
  if (typeof child === 'string') return escapeMarkup(child);
  return child.map(childText).join('');
}

/** An element; attributes that are null are left out. */
export function el(name: string, attributes: Attributes, ...children: readonly Child[]): Markup {
  const attributeText = Object.entries(attributes)
    .filter((entry): entry is [string, string | number] => entry[1] !== null)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? numberText(value) : escapeMarkup(value)}"`)
    .join('');
  const content = children.map(childText).join('');
  return Markup.fromProgram(
    EMPTY_ELEMENTS.has(name) && content === ''
      ? `<${name}${attributeText}/>`
      : `<${name}${attributeText}>${content}</${name}>`,
  );
}

/** Several pieces as one. */
export function fragment(...children: readonly Child[]): Markup {
  return Markup.fromProgram(children.map(childText).join(''));
}
