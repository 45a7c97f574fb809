// SPDX-License-Identifier: Apache-2.0
// Where a NIC is, and the argument vectors that run a program there.

import { existsSync } from 'node:fs';
import { UsageError } from '../common/index.ts';
import { checkNamespace } from './names.ts';

/** This process's own network namespace, a named one of this host, or that of a host reached by ssh. */
export type Place =
  | { readonly kind: 'here' }
  | { readonly kind: 'namespace'; readonly name: string }
  | { readonly kind: 'ssh'; readonly host: string };

export const HERE: Place = { kind: 'here' };

// A dead link ends it after 15 s; it never asks questions.
const SSH = [
  'ssh',
  '-T',
  '-o',
  'BatchMode=yes',
  '-o',
  'ServerAliveInterval=5',
  '-o',
  'ServerAliveCountMax=3',
];

/** As one gives it to ssh: a host, a user before it, or a name of ~/.ssh/config. @throws UsageError */
export function checkHost(host: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.@:%-]{0,254}$/.test(host)) {
    throw new UsageError(`expected a host for ssh such as root@b.example, got "${host}"`);
  }
  return host;
}

/** Words that a shell reads as themselves: what ssh hands to the other host is read by one. */
function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=@%,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The argument vector that runs a program in a place. @throws UsageError for a name that is none */
export function argvAt(place: Place, argv: readonly string[]): string[] {
  switch (place.kind) {
    case 'here':
      return [...argv];
    case 'namespace':
      return ['ip', 'netns', 'exec', checkNamespace(place.name), ...argv];
    case 'ssh':
      return [...SSH, checkHost(place.host), argv.map(quoted).join(' ')];
  }
}

/** Whether there is such a place at all; of another host only asking it would tell. */
export function placeExists(place: Place): boolean {
  return place.kind !== 'namespace' || existsSync(`/run/netns/${checkNamespace(place.name)}`);
}

/** In words, for messages and file names. */
export function placeName(place: Place): string {
  return place.kind === 'here' ? 'here' : place.kind === 'namespace' ? place.name : place.host;
}
