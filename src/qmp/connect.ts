// SPDX-License-Identifier: Apache-2.0
// From an address to a running client, or to nothing at all: whatever was opened on the way is closed on failure.

import type { Clock } from '../common/index.ts';
import { systemClock } from '../common/index.ts';
import { formatQmpAddress, parseQmpAddress } from './address.ts';
import type { QmpAddress } from './address.ts';
import { QmpClient } from './client.ts';
import { startDeadline } from './deadline.ts';
import { QmpConnectError } from './errors.ts';
import { DEFAULT_MAX_LINE_BYTES } from './framing.ts';
import { QmpSession } from './session.ts';
import { openSsh } from './ssh-transport.ts';
import { openSocket } from './transport.ts';
import type { QmpTransport } from './transport.ts';

/** How to speak to a peer, once there is a byte stream. */
export interface QmpSessionOptions {
  /** Gives the connecting up; once connected it has no effect. */
  readonly signal?: AbortSignal;
  /** Source of receive times and deadlines. Default: the system's. */
  readonly clock?: Clock;
  /** Longest wait for the greeting, and again for the reply to the negotiation. Default 5000 ms. */
  readonly greetingTimeoutMs?: number;
  /** Deadline of commands that do not set their own. Default 30 000 ms; stalls of seconds are normal at switchover. */
  readonly commandTimeoutMs?: number;
  /** Longest line taken from the peer. Default 64 MiB. */
  readonly maxLineBytes?: number;
  /** Default length of a listener's queue of events. Default 1024. */
  readonly maxQueuedEvents?: number;
}

export interface QmpConnectOptions extends QmpSessionOptions {
  /** Longest wait for the byte stream. Default 5000 ms, for ssh 20 000 ms. */
  readonly connectTimeoutMs?: number;
  /** The OpenSSH client. Default "ssh", looked up in PATH. */
  readonly sshProgram?: string;
}

/**
 * Connects to a monitor: byte stream, greeting, negotiation (out-of-band commands are enabled where offered).
 * On rejection nothing is left open. A text is parsed by `parseQmpAddress`, without `insecure`.
 * @throws QmpConnectError when there is no byte stream, or it ends before the greeting
 * @throws QmpGreetingTimeoutError when the monitor stays silent: it is busy with another client
 * @throws QmpProtocolError when the peer is not QMP
 * @throws QmpNegotiationError when it greets and then refuses, or leaves
 * @throws UsageError when a text is not an address
 * @throws the signal's reason when aborted
 */
export async function connectQmp(
  address: QmpAddress | string,
  options: QmpConnectOptions = {},
): Promise<QmpClient> {
  const target = typeof address === 'string' ? parseQmpAddress(address) : address;
  return connectQmpOver(await openTransport(target, options), options);
}

/** As `connectQmp`, over a byte stream of the caller's own. The transport is closed on rejection. */
export async function connectQmpOver(
  transport: QmpTransport,
  options: QmpSessionOptions = {},
): Promise<QmpClient> {
  const session = await QmpSession.open(transport, {
    clock: options.clock ?? systemClock,
    greetingTimeoutMs: options.greetingTimeoutMs ?? 5000,
    maxLineBytes: options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES,
    maxQueuedEvents: options.maxQueuedEvents ?? 1024,
    signal: options.signal,
  });
  return new QmpClient(session, options.commandTimeoutMs ?? 30_000);
}

async function openTransport(address: QmpAddress, options: QmpConnectOptions): Promise<QmpTransport> {
  const name = formatQmpAddress(address);
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.connectTimeoutMs ?? (address.kind === 'ssh' ? 20_000 : 5000);
  const expiry = new AbortController();
  const stopDeadline = startDeadline(clock, timeoutMs, () =>
    expiry.abort(
      new QmpConnectError('timeout', name, `no connection to ${name} within ${timeoutMs} ms`, {
        remedy: 'check the host, and firewalls on the way',
      }),
    ),
  );
  const signal =
    options.signal === undefined ? expiry.signal : AbortSignal.any([options.signal, expiry.signal]);
  try {
    switch (address.kind) {
      case 'unix':
        return await openSocket(name, { path: address.path }, signal);
      case 'tcp':
        return await openSocket(name, { host: address.host, port: address.port, keepAlive: true }, signal);
      case 'ssh':
        return await openSsh(name, address, options.sshProgram ?? 'ssh', clock, signal);
    }
  } finally {
    stopDeadline();
  }
}
