// SPDX-License-Identifier: Apache-2.0
// The kinds of values that a workload file is made of.

import {
  type FilePlace,
  type Kind,
  parseDurationMs,
  parseRateBytesPerSec,
  parseSizeBytes,
  type YamlReader,
} from '../../common/index.ts';
import { type Amount, AMOUNT_EXAMPLE, parseAmount } from './amount.ts';

export const AMOUNT: Kind<Amount> = {
  wanted: AMOUNT_EXAMPLE,
  parse: parseAmount,
  standIn: { bytes: 4096 },
};

export const RATE: Kind<number> = {
  wanted: 'a rate such as 200MiB/s',
  parse: parseRateBytesPerSec,
  standIn: 4096,
};

export const DURATION: Kind<number> = {
  wanted: 'a time such as 500ms or 3s',
  parse: parseDurationMs,
  standIn: 1,
};

/** Of a record. */
export const VALUE_SIZE: Kind<number> = {
  wanted: 'a size from 8B to 64KiB',
  parse: (text) => {
    const bytes = parseSizeBytes(text);
    return Number.isInteger(bytes) && bytes >= 8 && bytes <= 65_536 ? bytes : undefined;
  },
  standIn: 1000,
};

export const RATIO: Kind<number> = {
  wanted: 'a share from 0% to 100%',
  parse: (text) => {
    const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
    const value = Number(digits) / (percent === '%' ? 100 : 1);
    return value >= 0 && value <= 1 ? value : undefined;
  },
  standIn: 0.5,
};

export function numberKind(wanted: string, isRight: (value: number) => boolean): Kind<number> {
  return {
    wanted,
    parse: (text) => (/^\d+(\.\d+)?$/.test(text) && isRight(Number(text)) ? Number(text) : undefined),
    standIn: NaN,
  };
}

export function oneOf<T extends string>(...choices: readonly [T, ...T[]]): Kind<T> {
  return {
    wanted: choices.length === 1 ? choices[0] : `one of ${choices.join(', ')}`,
    parse: (text) => choices.find((choice) => choice === text),
    standIn: choices[0],
  };
}

/** A key on which the others of its mapping depend. Null where it is not right: nothing can be said of the others then. */
export function readDeciding<T>(reader: YamlReader, place: FilePlace, key: string, kind: Kind<T>): T | null {
  const before = reader.problems.length;
  const value = reader.required(reader.field(place, key), kind);
  return reader.problems.length > before ? null : value;
}
