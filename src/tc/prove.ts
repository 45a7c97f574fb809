// SPDX-License-Identifier: Apache-2.0
// A classifier is believed when a packet that must match has been counted by its class, and one that must not has not. Both
// are UDP datagrams of ours to a port at which nobody listens.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { inNamespace } from './session.ts';
import { checkPort } from './names.ts';

/** Sends `count` datagrams: run by node itself in the namespace, since a process cannot enter one later. */
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

export interface Datagrams {
  readonly address: string;
  readonly port: number;
  /** Source port; 0: any. */
  readonly from: number;
  readonly count: number;
}

/** Sends them from that namespace. @throws when they cannot be sent */
export async function sendDatagrams(
  namespace: string | null,
  { address, port, from, count }: Datagrams,
): Promise<void> {
  const words = [address, `${checkPort(port)}`, `${from === 0 ? 0 : checkPort(from)}`, `${count}`];
  const [program = '', ...args] = inNamespace(namespace, [process.execPath, '-e', SENDER, ...words]);
  await promisify(execFile)(program, args, { timeout: 10_000 });
}
