// SPDX-License-Identifier: Apache-2.0
// A classifier is believed when packets that must match have been counted by its class, and ones that must not have not. All
// are UDP datagrams of ours to a port at which nobody listens.

import { UsageError } from '../common/index.ts';
import type { Match } from './classifier.ts';
import { checkPort } from './names.ts';
import type { Place } from './place.ts';
import { runAt } from './run.ts';

/** Sends datagrams; run by node itself, since a process cannot enter a namespace later. */
const SENDER = `
const [address, port, from, count] = process.argv.slice(1);
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.on('error', () => process.exit(1));
socket.bind(Number(from), () => {
  let left = Number(count);
  const next = () => (left-- > 0 ? socket.send('slackwater', Number(port), address, next) : socket.close());
  next();
});
`;

/** On another host there may be no node, but there is a bash. */
const SHELL_SENDER = 'for ((i = 0; i < $3; i++)); do echo slackwater > /dev/udp/$1/$2; done';

/** Destination, and source (0: any). */
export interface PortPair {
  readonly port: number;
  readonly from: number;
}

/** Where datagrams to `address` can be sent that go through the NIC in its direction. */
export interface ProofPath {
  readonly from: Place;
  readonly address: string;
}

/** Where nobody listens, by convention. */
const DISCARD_PORT = 9;

function portIn(match: Match): number | null {
  return match.kind === 'mac' ? null : match.kind === 'ports' ? match.destination : match.port;
}

/** A datagram that a match is about, and one that differs from it in just that, and is about no match of `taken`. */
export function proofOf(
  match: Exclude<Match, { kind: 'mac' }>,
  taken: readonly Match[],
): { readonly probe: PortPair; readonly decoy: PortPair } {
  const ports = new Set(taken.map(portIn));
  const beside = (port: number): number => {
    let other = port;
    do other = other === 65_535 ? 1 : other + 1;
    while (ports.has(other));
    return other;
  };
  if (match.kind === 'port' && match.side === 'source') {
    const probe = { port: DISCARD_PORT, from: match.port };
    return { probe, decoy: { ...probe, from: beside(match.port) } };
  }
  const probe =
    match.kind === 'ports' ? { port: match.destination, from: match.source } : { port: match.port, from: 0 };
  return { probe, decoy: { ...probe, port: beside(probe.port) } };
}

/** @throws TcError when they cannot be sent; UsageError for a source port on a host reached by ssh */
export async function sendDatagrams(
  { from: place, address }: ProofPath,
  { port, from }: PortPair,
  count: number,
): Promise<void> {
  const words = [address, `${checkPort(port)}`, `${from === 0 ? 0 : checkPort(from)}`, `${count}`];
  if (place.kind !== 'ssh') {
    await runAt(place, [process.execPath, '-e', SENDER, ...words]);
    return;
  }
  if (from !== 0) throw new UsageError('a classifier of a source port cannot be proven from another host');
  await runAt(place, ['bash', '-c', SHELL_SENDER, 'bash', address, `${checkPort(port)}`, `${count}`]);
}
