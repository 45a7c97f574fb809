// SPDX-License-Identifier: Apache-2.0
// The kinds of values that files which people write are made of.

import { isIP, isIPv4 } from 'node:net';
import { parseDurationMs, parseRateBytesPerSec } from '../units.ts';
import type { Kind } from './reader.ts';

const NAME_MAX_CHARACTERS = 60;

/** Names become parts of keys and of directory names. */
export function isName(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]*$/.test(text) && text.length <= NAME_MAX_CHARACTERS;
}

/** A text for which `test` holds. */
export function textKind(wanted: string, test: (text: string) => boolean): Kind<string> {
  return { wanted, parse: (text) => (test(text) ? text : undefined), standIn: '' };
}

export const NAME = textKind(`a name of a-z, 0-9 and - (at most ${NAME_MAX_CHARACTERS})`, isName);

export const TEXT_LINE = textKind('a line of text', (text) => /^[^\n]*\S[^\n]*$/.test(text));

export const ANY_TEXT = textKind('a text', () => true);

export function integerKind(min: number, max: number): Kind<number> {
  return {
    wanted: `a whole number from ${min} to ${max}`,
    parse: (text) => {
      const value = /^\d+$/.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    },
    standIn: NaN,
  };
}

/** A duration within limits that are given as people write them. */
export function durationKind(min: string, max: string): Kind<number> {
  return {
    wanted: `a duration of ${min} to ${max}, such as 300ms or 60s`,
    parse: (text) => {
      const ms = parseDurationMs(text);
      return ms >= parseDurationMs(min) && ms <= parseDurationMs(max) ? ms : undefined;
    },
    standIn: NaN,
  };
}

export const RATE: Kind<number> = {
  wanted: 'a rate such as 1gbit or 64MiB/s',
  parse: (text) => {
    const bytesPerSec = parseRateBytesPerSec(text);
    return bytesPerSec > 0 ? bytesPerSec : undefined;
  },
  standIn: NaN,
};

/** One of these words. */
export function choiceKind<T extends string>(first: T, ...others: readonly T[]): Kind<T> {
  const all = [first, ...others];
  return {
    wanted: all.length === 1 ? first : `${all.slice(0, -1).join(', ')} or ${all.at(-1) ?? ''}`,
    parse: (text) => all.find((choice) => choice === text),
    standIn: first,
  };
}

/** One of the names of what is listed elsewhere in the file; where nothing is, that has been noted there. */
export function nameAmong(named: readonly { readonly name: string }[]): Kind<string> {
  const [first = '', ...others] = named.map(({ name }) => name);
  return choiceKind(first, ...others);
}

// A leading '-' would be an option of ssh's; `user@-...` would be one of a proxy command's.
export const SSH_HOST = textKind(
  'a host as one gives it to ssh: a name, user@name or a Host of ~/.ssh/config',
  (text) => /^[^\s\p{Cc}]+$/u.test(text) && !text.startsWith('-') && !text.includes('@-'),
);

/** The kernel takes 15 characters. */
export const NIC = textKind('the name of a network interface', (text) => /^[\w.][\w.-]{0,14}$/.test(text));

export const IP_ADDRESS = textKind('an IPv4 or IPv6 address', (text) => isIP(text) !== 0);

export const IPV4_ADDRESS = textKind('an IPv4 address', isIPv4);

export const YES_NO: Kind<boolean> = {
  wanted: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  standIn: true,
};
