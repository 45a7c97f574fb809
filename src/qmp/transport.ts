// SPDX-License-Identifier: Apache-2.0
// The byte stream under a session, and the two that are plain sockets. A transport knows bytes and endings, nothing of
// QMP; replay and tests may bring their own.

import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import { QmpConnectError } from './errors.ts';
import type { QmpConnectFailure } from './errors.ts';

export interface QmpTransportHandlers {
  /** Bytes of the peer's, cut anywhere. Never called after `onEnd` or `close()`. */
  readonly onData: (chunk: Buffer) => void;
  /** The stream is over. Called once at most; `cause` says why in words for people. */
  readonly onEnd: (cause: Error) => void;
}

export interface QmpTransport {
  /** The address, for messages. */
  readonly name: string;
  /** Begins to deliver; nothing that arrived before is lost. Called once. */
  start(handlers: QmpTransportHandlers): void;
  /** Queues text for the peer. Ignored after the end. */
  write(text: string): void;
  /** Releases everything: sockets, children, files. Idempotent, never rejects, bounded in time. */
  close(): Promise<void>;
}

/** A transport over a connected socket. */
export class SocketTransport implements QmpTransport {
  readonly name: string;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    this.#closed = new Promise((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', () => resolve());
    });
    // A reset between connect and start must not be an uncaught exception; start() reports it.
    socket.on('error', () => undefined);
  }

  start(handlers: QmpTransportHandlers): void {
    const socket = this.#socket;
    let over = false;
    const end = (cause: Error): void => {
      if (over) return;
      over = true;
      handlers.onEnd(cause);
    };
    const ended = (): void => end(socket.errored ?? new Error('the peer closed the connection'));
    if (socket.destroyed) {
      process.nextTick(ended);
      return;
    }
    socket.on('data', (chunk: Buffer) => {
      if (!over && !socket.destroyed) handlers.onData(chunk);
    });
    socket.on('error', end);
    socket.on('end', ended);
    socket.on('close', ended);
  }

  write(text: string): void {
    if (this.#socket.writable) this.#socket.write(text);
  }

  close(): Promise<void> {
    this.#socket.destroy();
    return this.#closed;
  }
}

/**
 * Opens a socket. On rejection nothing is left open.
 * @throws QmpConnectError by what the kernel said; the reason of `signal` when aborted
 */
export function openSocket(
  name: string,
  target: NetConnectOpts,
  signal: AbortSignal,
): Promise<SocketTransport> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect(target);
    const onAbort = (): void => fail(signal.reason);
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.on('error', () => undefined);
      // Not before the descriptor is free: who tries again must not find his own socket in the way.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort's reason may be anything
      socket.once('close', () => reject(error));
      socket.destroy();
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(connectError(name, target, error));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      const transport = new SocketTransport(name, socket);
      socket.off('error', onError);
      socket.setNoDelay(true);
      resolve(transport);
    });
  });
}

const FAILURES: Readonly<Record<string, QmpConnectFailure>> = {
  ENOENT: 'missing',
  ENOTFOUND: 'missing',
  ECONNREFUSED: 'refused',
  EACCES: 'permission',
  EPERM: 'permission',
  EAGAIN: 'busy',
  ECONNRESET: 'closed',
  ETIMEDOUT: 'timeout',
};

const START_QEMU = 'start QEMU with "-qmp unix:PATH,server=on,wait=off"';

function connectError(name: string, target: NetConnectOpts, error: NodeJS.ErrnoException): QmpConnectError {
  const reason = FAILURES[error.code ?? ''] ?? 'other';
  const path = 'path' in target ? target.path : undefined;
  const [got, remedy] = explain(reason, path, error);
  return new QmpConnectError(reason, name, `cannot connect to the monitor at ${name}: ${got}`, {
    cause: error,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

function explain(
  reason: QmpConnectFailure,
  path: string | undefined,
  error: NodeJS.ErrnoException,
): readonly [string, string | undefined] {
  switch (reason) {
    case 'missing':
      return path === undefined
        ? ['the host name is unknown', 'check the name']
        : ['there is no such socket', `check the path, or ${START_QEMU}`];
    case 'refused':
      return path === undefined
        ? ['nothing listens on that port', 'check the port, and that QEMU runs']
        : ['the socket exists but nobody listens on it', `QEMU has probably exited; ${START_QEMU}`];
    case 'permission':
      return [
        'permission denied',
        'run as the user that QEMU runs as, or as root, or give the socket and its folders a group you are in',
      ];
    case 'busy':
      // A UNIX socket whose backlog is full: QEMU accepts one client and leaves two waiting.
      return [
        'its queue of waiting clients is full',
        'QEMU serves one client per monitor: give it a second "-qmp unix:PATH,server=on,wait=off"',
      ];
    case 'closed':
      return [
        'it ended the connection before its greeting',
        'QEMU is exiting, or the address is not a QMP monitor',
      ];
    case 'timeout':
      return ['the host did not answer', 'check the host, and firewalls on the way'];
    default:
      return [error.message, undefined];
  }
}
