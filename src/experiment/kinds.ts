// SPDX-License-Identifier: Apache-2.0
// The kinds of values that only an experiment file is made of.

import { BlockList, isIPv4 } from 'node:net';
import { isName, type Kind, MIB, NAME, parseSizeBytes, RATE, textKind } from '../common/index.ts';

/** As policies: by name, or a file of the user's own. */
export const WORKLOAD = textKind(
  'the name of a workload, or a file such as ./mine.yaml',
  (text) => isName(text) || /^\S+\.yaml$/.test(text),
);

/** QEMU's -m counts whole mebibytes. */
export const MEMORY: Kind<number> = {
  wanted: 'a size in whole MiB, such as 512MiB or 2GiB',
  parse: (text) => {
    const bytes = parseSizeBytes(text);
    return bytes > 0 && bytes % MIB === 0 ? bytes : undefined;
  },
  standIn: NaN,
};

/** A name begins with a letter, so that a mistyped rate is not taken for one. */
export const LINK: Kind<string> = {
  wanted: 'the name of a link, or a rate such as 300mbit',
  parse: (text) =>
    /^[a-z]/.test(text) ? NAME.parse(text) : RATE.parse(text) === undefined ? undefined : text,
  standIn: '',
};

/** An address and the network that it is in, as `ip address add` takes it. */
export const IPV4_IN_NETWORK = textKind(
  'an IPv4 address with its prefix length, such as 192.0.2.10/24',
  (text) => networkOf(text) !== null,
);

function networkOf(text: string): { readonly address: string; readonly prefixBits: number } | null {
  const [, address = '', prefix = ''] = /^([^/]+)\/(\d{1,2})$/.exec(text) ?? [];
  const prefixBits = Number(prefix);
  // With 31 bits and more there is no room for guest, client and the network's own addresses.
  return isIPv4(address) && prefixBits >= 1 && prefixBits <= 30 ? { address, prefixBits } : null;
}

/** Whether an IPv4 address is in the network of `addressInNetwork`, such as 192.0.2.10/24. */
export function isInNetwork(address: string, addressInNetwork: string): boolean {
  const network = networkOf(addressInNetwork);
  if (network === null || !isIPv4(address)) return false;
  const members = new BlockList();
  members.addSubnet(network.address, network.prefixBits, 'ipv4');
  return members.check(address, 'ipv4');
}

export const PROGRAM = textKind('the absolute path of a program', (text) =>
  /^\/[^\s\p{Cc}]*[^\s\p{Cc}/]$/u.test(text),
);
