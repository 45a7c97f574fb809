// SPDX-License-Identifier: Apache-2.0
// Reads a YAML file that people write, and collects everything that is wrong with it, each with its line and key. After a
// problem a reading goes on with a stand-in, so that one look at the message is enough to mend the whole file.

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { UsageError } from '../errors.ts';
import { closestWord } from './closest.ts';
import type { FileProblem } from './problems.ts';

/** A value of the file, or where one would be. */
export interface FilePlace {
  readonly path: string;
  readonly line: number;
  /** Null where there is no value: the key is missing, or nothing (or `null`) stands after it. */
  readonly node: Node | null;
  /** The key is there, even if nothing stands after it. */
  readonly given: boolean;
  /** It is part of something whose problem is noted already. */
  readonly muted: boolean;
}

/** How a text becomes a value. */
export interface Kind<T> {
  /** Completes "expected ...". */
  readonly wanted: string;
  /** Returns undefined or throws a UsageError where the text is not of this kind. */
  readonly parse: (text: string) => T | undefined;
  /** Stands in for a value that is not right, once that is noted. */
  readonly standIn: T;
}

export class YamlReader {
  readonly root: FilePlace;
  readonly #problems: FileProblem[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document;

  constructor(text: string) {
    // Keys given twice are told apart in fields(), with the line of the first.
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
    for (const { pos, message } of [...this.#document.errors, ...this.#document.warnings]) {
      this.#problems.push({ line: this.#lineAt(pos[0]), path: '', message });
    }
    // What a broken file's tree says of its values is guesswork: only the syntax is reported.
    this.root = this.#place('', this.#document.contents, 1, this.#problems.length > 0);
  }

  get problems(): readonly FileProblem[] {
    return this.#problems;
  }

  note({ line, path, muted }: FilePlace, message: string): void {
    if (!muted) this.#problems.push({ line, path, message });
  }

  /** The value at a place that must have one. */
  required<T>(place: FilePlace, kind: Kind<T>): T {
    const text = isScalar(place.node) ? textOf(place.node.value, place.node.source) : undefined;
    const value = text === undefined ? undefined : parseOrUndefined(kind, text);
    if (value !== undefined) return value;
    this.note(place, `expected ${kind.wanted}, got ${describe(place)}`);
    return kind.standIn;
  }

  optional<T, D>(place: FilePlace, kind: Kind<T>, whenAbsent: D): T | D {
    return place.node === null ? whenAbsent : this.required(place, kind);
  }

  /** The place of one key of a mapping, whatever keys there are beside it: for one on which they depend. */
  field(place: FilePlace, key: string): FilePlace {
    if (!isMap(place.node)) {
      this.note(place, `expected a mapping, got ${describe(place)}`);
      return missing(place, key);
    }
    const pair = place.node.items.find((each) => isScalar(each.key) && String(each.key.value) === key);
    if (pair === undefined) return missing(place, key);
    return this.#place(pathOf(place, key), pair.value, this.#lineOf(pair.key) ?? place.line, place.muted);
  }

  /** The places of a mapping's keys; keys beside `keys` are noted. */
  fields<K extends string>(place: FilePlace, keys: readonly K[]): Readonly<Record<K, FilePlace>> {
    const found = new Map<string, FilePlace>();
    if (isMap(place.node)) {
      for (const pair of place.node.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : '?';
        const path = pathOf(place, key);
        const line = this.#lineOf(pair.key) ?? place.line;
        const field = this.#place(path, pair.value, line, place.muted);
        const first = found.get(key);
        if (first !== undefined) this.note({ ...field, line }, `given twice, first in line ${first.line}`);
        else if (!(keys as readonly string[]).includes(key)) {
          this.note({ ...field, line }, unknownKey(key, keys));
        }
        found.set(key, first ?? field);
      }
    } else {
      this.note(place, `expected a mapping, got ${describe(place)}`);
    }
    return Object.fromEntries(keys.map((key) => [key, found.get(key) ?? missing(place, key)])) as Record<
      K,
      FilePlace
    >;
  }

  /** The places of a list's items, of which there must be one or more. */
  items(place: FilePlace): FilePlace[] {
    if (!isSeq(place.node) || place.node.items.length === 0) {
      const got = isSeq(place.node) ? 'an empty list' : describe(place);
      this.note(place, `expected a list of one or more, got ${got}`);
      return [];
    }
    return place.node.items.map((item, index) =>
      this.#place(`${place.path}[${index}]`, item, place.line, place.muted),
    );
  }

  #place(path: string, value: unknown, lineIfNowhere: number, muted: boolean): FilePlace {
    // An alias is reported where it stands, not where its anchor is.
    const line = this.#lineOf(value) ?? lineIfNowhere;
    let node = value as Node | null;
    if (isAlias(value)) {
      node = value.resolve(this.#document) ?? null;
      if (node === null && !muted)
        this.#problems.push({ line, path, message: `there is no anchor &${value.source}` });
    }
    return {
      path,
      line,
      node: isScalar(node) && node.value === null ? null : node,
      given: true,
      muted: muted || (isAlias(value) && node === null),
    };
  }

  #lineOf(value: unknown): number | undefined {
    const { range } = (value ?? {}) as Node;
    return range ? this.#lineAt(range[0]) : undefined;
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }
}

function pathOf(place: FilePlace, key: string): string {
  return place.path === '' ? key : `${place.path}.${key}`;
}

/** A key that is not there. Where there is not even a mapping, that is the problem. */
function missing(place: FilePlace, key: string): FilePlace {
  const { line, muted, node } = place;
  return { path: pathOf(place, key), line, node: null, given: false, muted: muted || !isMap(node) };
}

// YAML takes `name: 007` for a number; what was meant is the text.
function textOf(value: unknown, source: string | undefined): string {
  return typeof value === 'string' ? value : (source ?? String(value));
}

function parseOrUndefined<T>(kind: Kind<T>, text: string): T | undefined {
  try {
    return kind.parse(text);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

const SHOWN_CHARACTERS = 60;

function describe({ node }: FilePlace): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'nothing';
  const text = textOf(node.value, node.source);
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
  return typeof node.value === 'string' ? JSON.stringify(shown) : shown;
}

function unknownKey(key: string, keys: readonly string[]): string {
  const meant = closestWord(key, keys);
  return meant === undefined
    ? `unknown key; expected one of ${keys.join(', ')}`
    : `unknown key; did you mean ${meant}?`;
}
