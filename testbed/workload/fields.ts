// SPDX-License-Identifier: Apache-2.0
// The mappings of a YAML file, read key by key. What is wrong is noted with its line and key, and reading goes on with a
// stand-in, so that one message names everything.

import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { type Amount, AMOUNT_EXAMPLE, parseAmount } from './amount.ts';
import { parseDurationMs, parseRateBytesPerSec, parseSizeBytes, UsageError } from '../../src/index.ts';
import type { WorkloadProblem } from './workload-error.ts';

/** One mapping. Every key that a reader asks for is known; `end` notes the others. */
export class Fields {
  readonly #file: FieldsFile;
  readonly #map: YAMLMap | undefined;
  readonly #key: string;
  readonly #line: number;
  readonly #known = new Set<string>();

  constructor(file: FieldsFile, node: Node | null, key: string, line: number) {
    this.#file = file;
    this.#key = key;
    this.#line = line;
    this.#map = isMap(node) ? node : undefined;
    if (this.#map === undefined) file.note(line, key, `wanted a mapping, got ${shown(node)}`);
  }

  #path(name: string): string {
    return this.#key === '' ? name : `${this.#key}.${name}`;
  }

  #node(name: string): Node | null {
    this.#known.add(name);
    const node = this.#map?.get(name, true);
    return isScalar(node) && node.value === null ? null : isNode(node) ? node : null;
  }

  #lineOf(name: string): number {
    return this.#file.lineOf(this.#node(name)) ?? this.#line;
  }

  has(name: string): boolean {
    return this.#node(name) !== null;
  }

  /** Notes what is wrong with a key's value. */
  wrong(name: string, message: string): void {
    // A file that is no mapping has been called that already.
    if (this.#map !== undefined) this.#file.note(this.#lineOf(name), this.#path(name), message);
  }

  #scalar<T>(name: string, wanted: string, parse: (text: string) => T | undefined, standIn: T): T {
    const node = this.#node(name);
    if (isScalar(node)) {
      const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
      const value = parseOrUndefined(parse, text.trim());
      if (value !== undefined) return value;
    }
    this.wrong(name, `wanted ${wanted}, got ${shown(node)}`);
    return standIn;
  }

  text(name: string): string {
    return this.#scalar(name, 'a line of text', (text) => (/^[^\n]+$/.test(text) ? text : undefined), '');
  }

  choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const wanted = choices.length === 1 ? choices[0] : `one of ${choices.join(', ')}`;
    return this.#scalar(name, wanted, (text) => choices.find((choice) => choice === text), choices[0]);
  }

  /** As `choice`, where the other keys depend on it: without a right one nothing more can be said of the file. */
  kind<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
    const before = this.#file.problems.length;
    const kind = this.choice(name, choices);
    if (this.#file.problems.length > before) this.#file.mute();
    return kind;
  }

  /** A size such as 64MiB, or a share of the guest's memory such as 90%. */
  amount(name: string): Amount {
    return this.#scalar(name, AMOUNT_EXAMPLE, parseAmount, { bytes: 4096 });
  }

  sizeBytes(name: string): number {
    return this.#scalar(name, 'a size such as 1000B or 64MiB', parseSizeBytes, 4096);
  }

  rateBytesPerSec(name: string): number {
    return this.#scalar(name, 'a rate such as 200MiB/s', parseRateBytesPerSec, 4096);
  }

  durationMs(name: string): number {
    return this.#scalar(name, 'a time such as 500ms or 3s', parseDurationMs, 1);
  }

  number(name: string, wanted: string, isRight: (value: number) => boolean): number {
    const parse = (text: string): number | undefined =>
      /^\d+(\.\d+)?$/.test(text) && isRight(Number(text)) ? Number(text) : undefined;
    return this.#scalar(name, wanted, parse, 1);
  }

  /** A share such as 50% or 0.5. */
  ratio(name: string): number {
    const parse = (text: string): number | undefined => {
      const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
      const value = Number(digits) / (percent === '%' ? 100 : 1);
      return value >= 0 && value <= 1 ? value : undefined;
    };
    return this.#scalar(name, 'a share from 0% to 100%', parse, 0.5);
  }

  whole(name: string, min: number, max: number): number {
    const isRight = (value: number): boolean => Number.isInteger(value) && value >= min && value <= max;
    return this.number(name, `a whole number from ${min} to ${max}`, isRight);
  }

  fields(name: string): Fields {
    return new Fields(this.#file, this.#node(name), this.#path(name), this.#lineOf(name));
  }

  /** The mappings of a list of one or more. */
  list(name: string): Fields[] {
    const node = this.#node(name);
    if (!isSeq(node) || node.items.length === 0) {
      this.wrong(name, `wanted a list of one or more, got ${shown(node)}`);
      return [];
    }
    return node.items.map((item, i) => {
      const value = isNode(item) ? item : null;
      return new Fields(
        this.#file,
        value,
        `${this.#path(name)}[${i}]`,
        this.#file.lineOf(value) ?? this.#line,
      );
    });
  }

  /** Notes the keys that nobody asked for. */
  end(): void {
    for (const { key } of this.#map?.items ?? []) {
      const name = isScalar(key) ? String(key.value) : '?';
      if (this.#known.has(name)) continue;
      const line = isNode(key) ? this.#file.lineOf(key) : undefined;
      const known = [...this.#known].join(', ');
      this.#file.note(line ?? this.#line, this.#path(name), `unknown key; wanted one of ${known}`);
    }
  }
}

/** A file's text as its outermost mapping, and all that turns out to be wrong with it. */
export class FieldsFile {
  readonly root: Fields;
  readonly problems: WorkloadProblem[] = [];
  readonly #lines = new LineCounter();
  #muted = false;

  constructor(text: string) {
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const { pos, message } of [...document.errors, ...document.warnings]) {
      this.note(this.#lines.linePos(pos[0]).line, '', message);
    }
    const contents: unknown = document.contents;
    this.root = new Fields(this, isNode(contents) ? contents : null, '', 1);
  }

  /** Later problems are not noted: they would follow from an earlier one. */
  mute(): void {
    this.#muted = true;
  }

  note(line: number, key: string, message: string): void {
    if (!this.#muted) this.problems.push({ line: Math.max(1, line), key, message });
  }

  lineOf(node: Node | null): number | undefined {
    return node?.range ? this.#lines.linePos(node.range[0]).line : undefined;
  }
}

function parseOrUndefined<T>(parse: (text: string) => T | undefined, text: string): T | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

function shown(node: Node | null): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'nothing';
  return `"${String(node.value).slice(0, 60)}"`;
}
