// SPDX-License-Identifier: Apache-2.0
// Reads a write pattern from its text, such as "steady:set=64M,rate=200M" in an experiment file or on a command line.

import type { BurstPattern, SegmentPattern, WritePattern } from '../../src/experiment/index.ts';
import { GuestSpecError } from '../errors.ts';
import { formatPattern } from './pattern.ts';

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

const OPTIONS_OF: Readonly<Record<string, readonly string[]>> = {
  idle: [],
  steady: ['set', 'rate', 'offset', 'touch', 'order'],
  drift: ['set', 'rate', 'offset', 'touch', 'order', 'step'],
  zipf: ['set', 'rate', 'offset', 'touch', 'exponent'],
  readmostly: ['set', 'rate', 'offset', 'touch', 'order', 'writes'],
  burst: ['set', 'rate', 'offset', 'touch', 'order', 'on', 'off'],
};

/** The named options of one pattern; each may be taken once, and what is missing is said by name. */
class Options {
  readonly #values = new Map<string, string>();
  readonly #where: string;

  constructor(kind: string, text: string, extra: readonly string[]) {
    this.#where = text;
    const own = OPTIONS_OF[kind];
    if (own === undefined) {
      throw new GuestSpecError(`write pattern "${text}": unknown kind "${kind}"`, {
        remedy: `kinds: ${Object.keys(OPTIONS_OF).join(', ')}, phases`,
      });
    }
    const known = [...own, ...extra];
    const list = text.indexOf(':') < 0 ? '' : text.slice(text.indexOf(':') + 1);
    for (const item of list.split(',').filter((part) => part !== '')) {
      const [, name = '', value = ''] = /^(\w+)=(.+)$/.exec(item) ?? [];
      if (!known.includes(name)) {
        throw new GuestSpecError(`write pattern "${text}": cannot read "${item}"`, {
          remedy: `options of ${kind}: ${known.join(', ')}, each as name=value`,
        });
      }
      this.#values.set(name, value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  #read(name: string, pattern: RegExp, example: string): RegExpExecArray {
    const value = this.#values.get(name);
    const match = pattern.exec(value ?? '');
    if (match === null) {
      const got = value === undefined ? 'nothing' : `"${value}"`;
      throw new GuestSpecError(`write pattern "${this.#where}": wanted ${name}=${example}, got ${got}`);
    }
    return match;
  }

  bytes(name: string): number {
    const [, digits = '', unit = ''] = this.#read(name, /^(\d+(?:\.\d+)?)([KMG]?)$/, '64M');
    return Number(digits) * (BYTE_UNITS[unit] ?? 1);
  }

  durationMs(name: string): number {
    const [, digits = '', unit = ''] = this.#read(name, /^(\d+(?:\.\d+)?)(ms|s)$/, '500ms');
    return Number(digits) * (unit === 's' ? 1000 : 1);
  }

  number(name: string, fallback: number): number {
    if (!this.has(name)) return fallback;
    return Number(this.#read(name, /^\d+(?:\.\d+)?$/, String(fallback))[0]);
  }

  window(): {
    setBytes: number;
    rateBytesPerSec: number;
    offsetBytes?: number;
    touchBytes?: 8 | 4096;
  } {
    return {
      setBytes: this.bytes('set'),
      rateBytesPerSec: this.bytes('rate'),
      ...(this.has('offset') ? { offsetBytes: this.bytes('offset') } : {}),
      ...(this.has('touch') && this.#read('touch', /^(8|4096)$/, '8')[0] === '8' ? { touchBytes: 8 } : {}),
    };
  }

  order(): { order?: 'random' } {
    return this.has('order') && this.#read('order', /^(seq|random)$/, 'random')[0] === 'random'
      ? { order: 'random' }
      : {};
  }
}

function kindOf(text: string): string {
  return text.split(':', 1)[0] ?? '';
}

function parseSegment(text: string, extra: readonly string[] = []): SegmentPattern {
  const kind = kindOf(text);
  const options = new Options(kind, text, extra);
  switch (kind) {
    case 'idle':
      return { kind };
    case 'steady':
      return { kind, ...options.window(), ...options.order() };
    case 'drift':
      return { kind, ...options.window(), ...options.order(), stepBytes: options.bytes('step') };
    case 'zipf':
      return { kind, ...options.window(), exponent: options.number('exponent', 1) };
    case 'readmostly':
      return {
        kind,
        ...options.window(),
        ...options.order(),
        writesRatio: options.number('writes', 0.1),
      };
    default:
      throw new GuestSpecError(`write pattern "${text}": a phase cannot be ${kind}`, {
        remedy: 'write it as two phases, one of them idle',
      });
  }
}

function parseBurst(text: string): BurstPattern {
  const options = new Options('burst', text, []);
  return {
    kind: 'burst',
    ...options.window(),
    ...options.order(),
    onMs: options.durationMs('on'),
    offMs: options.durationMs('off'),
  };
}

/** The pattern that a text stands for, checked. @throws GuestSpecError */
export function parsePattern(text: string): WritePattern {
  let pattern: WritePattern;
  if (text.startsWith('phases:')) {
    const phases = text
      .slice('phases:'.length)
      .split('/')
      .map((part) => ({
        pattern: parseSegment(part, ['for']),
        forMs: new Options(kindOf(part), part, ['for']).durationMs('for'),
      }));
    pattern = { kind: 'phases', phases };
  } else {
    pattern = kindOf(text) === 'burst' ? parseBurst(text) : parseSegment(text);
  }
  formatPattern(pattern); // checks all ranges
  return pattern;
}
