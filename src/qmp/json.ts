// SPDX-License-Identifier: Apache-2.0
// JSON without loss of integers. QEMU prints 64-bit integers; JSON.parse rounds them to doubles. Here an integer beyond
// +-(2^53-1) becomes a bigint and goes out again as the same digits; everything else is what JSON.parse makes of it.

/** A JSON value as it comes off the wire. An integer is a bigint exactly when a number could not hold it. */
export type QmpValue =
  string | number | bigint | boolean | null | readonly QmpValue[] | { readonly [key: string]: QmpValue };

/** A JSON object as it comes off the wire. */
export type QmpObject = Readonly<Record<string, QmpValue>>;

/** True for a JSON object: not null, not an array. */
export function isQmpObject(value: QmpValue | undefined): value is QmpObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// 2^53-1 has 16 digits, so a text without 16 digits in a row has nothing to lose. Nearly every message ends here.
const MAYBE_LONG_INTEGER = /\d{16}/;
const LONG_INTEGER = /^-?[1-9]\d{15,}$/;
const NUMBER_CHARACTERS = '-+.0123456789eE';

// QEMU's integers have 20 digits at most. Far above that, turning digits into a bigint takes seconds.
const MAX_NUMBER_LENGTH = 4096;

// JSON.parse of Node 20 does not show a reviver the source text. So long integers are handed through it as strings that
// begin with U+0001. That character has one spelling only in JSON (the escape below; raw control characters are not
// allowed), hence a string of the peer's that begins with it is recognised for certain and gets a second mark.
const MARK = '\u0001';
const MARK_ESCAPED = '\\u0001';

/**
 * Parses one JSON text. Integers beyond +-(2^53-1) come as bigint, all other numbers as number, strings untouched.
 * @throws SyntaxError as JSON.parse does, and for a number of more than 4096 characters
 */
export function parseJsonLossless(text: string): QmpValue {
  if (!MAYBE_LONG_INTEGER.test(text)) return JSON.parse(text) as QmpValue;
  const marked = markLongIntegers(text);
  const value = JSON.parse(marked ?? text) as QmpValue;
  return marked === undefined ? value : unmark(value);
}

/**
 * The text with long integers turned into marked strings; undefined when it has none outside of its strings. Steps from
 * string to string, and copies only around what it changes.
 */
function markLongIntegers(text: string): string | undefined {
  const digits = /\d{16}/g;
  const nextDigits = (from: number): number => {
    digits.lastIndex = from;
    return digits.exec(text)?.index ?? Infinity;
  };
  const parts: string[] = [];
  let copied = 0;
  const replace = (start: number, end: number, replacement: string): void => {
    parts.push(text.slice(copied, start), replacement);
    copied = end;
  };
  const hasMarks = text.includes(`"${MARK_ESCAPED}`);
  let found = 0;
  let candidate = nextDigits(0);
  let position = 0;
  while (candidate !== Infinity || hasMarks) {
    const open = text.indexOf('"', position);
    const gapEnd = open === -1 ? text.length : open;
    while (candidate < gapEnd) {
      const [start, end] = numberAround(text, candidate);
      if (isLongInteger(text, start, end)) {
        replace(start, end, `"${MARK_ESCAPED}${text.slice(start, end)}"`);
        found += 1;
      }
      candidate = nextDigits(end);
    }
    if (open === -1) break;
    position = endOfString(text, open);
    if (text.startsWith(MARK_ESCAPED, open + 1) && !isKey(text, position)) {
      replace(open, open + 1, `"${MARK_ESCAPED}`);
    }
    if (candidate < position) candidate = nextDigits(position);
  }
  if (found === 0) return undefined;
  parts.push(text.slice(copied));
  return parts.join('');
}

/** Start and end of the number, or what passes for one, around `index`. */
function numberAround(text: string, index: number): readonly [number, number] {
  let start = index;
  while (start > 0 && NUMBER_CHARACTERS.includes(text.charAt(start - 1))) start -= 1;
  let end = index;
  while (end < text.length && NUMBER_CHARACTERS.includes(text.charAt(end))) end += 1;
  if (end - start > MAX_NUMBER_LENGTH) throw new SyntaxError(`a number of ${end - start} characters`);
  return [start, end];
}

function isLongInteger(text: string, start: number, end: number): boolean {
  const token = text.slice(start, end);
  // As a key it is a fault of the peer's, and a marked string in its place would hide that.
  return LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) && !isKey(text, end);
}

/** The index after the closing quote of the string that opens at `open`; the end of the text when it is not closed. */
function endOfString(text: string, open: number): number {
  for (let close = text.indexOf('"', open + 1); close !== -1; close = text.indexOf('"', close + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(close - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return close + 1;
  }
  return text.length;
}

function isKey(text: string, end: number): boolean {
  let next = end;
  while (' \t\r\n'.includes(text.charAt(next)) && next < text.length) next += 1;
  return text.charAt(next) === ':';
}

function unmarkString(text: string): string | bigint {
  return text.startsWith(MARK, 1) ? text.slice(1) : BigInt(text.slice(1));
}

/** Sets a member that exists. Not by assignment, which a key "__proto__" would swallow. */
function define(node: object, key: string, value: QmpValue): void {
  Object.defineProperty(node, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Undoes the marks in place. Iterative: JSON.parse accepts nesting that would overflow a recursive walk. */
function unmark(root: QmpValue): QmpValue {
  if (typeof root === 'string') return root.startsWith(MARK) ? unmarkString(root) : root;
  if (typeof root !== 'object' || root === null) return root;
  const pending: object[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const key of Object.keys(node)) {
      const child = (node as QmpObject)[key];
      if (typeof child === 'string') {
        if (child.startsWith(MARK)) define(node, key, unmarkString(child));
      } else if (typeof child === 'object' && child !== null) pending.push(child);
    }
  }
  return root;
}

/**
 * Serialises a value as JSON.stringify does, with bigint as an integer. Members that are undefined are left out.
 * @throws TypeError for what JSON cannot hold: NaN, Infinity, functions, symbols (JSON.stringify would send null)
 */
export function stringifyJsonLossless(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`JSON cannot hold the number ${value}`);
      return JSON.stringify(value);
    case 'string':
      return JSON.stringify(value);
    case 'object': {
      if (value === null) return 'null';
      if (Array.isArray(value)) return `[${value.map(stringifyJsonLossless).join(',')}]`;
      const members = Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([key, member]) => `${JSON.stringify(key)}:${stringifyJsonLossless(member)}`);
      return `{${members.join(',')}}`;
    }
    default:
      throw new TypeError(`JSON cannot hold a value of type ${typeof value}`);
  }
}
