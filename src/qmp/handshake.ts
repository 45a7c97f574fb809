// SPDX-License-Identifier: Apache-2.0
// The wait for a greeting, and the errors that a handshake can end in: which one it is tells a busy monitor from a
// foreign service from a QEMU that is just exiting.

import { startDeadline } from './deadline.ts';
import {
  QmpConnectError,
  QmpDisconnectedError,
  QmpGreetingTimeoutError,
  QmpNegotiationError,
  QmpProtocolError,
} from './errors.ts';
import type { QmpGreeting } from './message.ts';
import type { SessionOptions } from './session-types.ts';

/** A greeting that is still to come. Settles once; later calls do nothing. */
export class PendingGreeting {
  readonly promise: Promise<QmpGreeting>;
  #settle: { resolve: (greeting: QmpGreeting) => void; reject: (error: unknown) => void } | undefined;
  #release: () => void = () => undefined;

  /** `makeTimeout` makes the error of a deadline that has passed. */
  constructor(options: SessionOptions, makeTimeout: (timeoutMs: number) => Error) {
    const { clock, signal, greetingTimeoutMs } = options;
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Whoever waits for it sees the rejection; that nobody waits yet must not end the process.
    this.promise.catch(() => undefined);
    const onAbort = (): void => this.reject(signal?.reason);
    const stopDeadline = startDeadline(clock, greetingTimeoutMs, () =>
      this.reject(makeTimeout(greetingTimeoutMs)),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#release = () => {
      stopDeadline();
      signal?.removeEventListener('abort', onAbort);
    };
    if (signal?.aborted === true) onAbort();
  }

  get settled(): boolean {
    return this.#settle === undefined;
  }

  resolve(greeting: QmpGreeting): void {
    this.#take()?.resolve(greeting);
  }

  reject(error: unknown): void {
    this.#take()?.reject(error);
  }

  #take(): { resolve: (greeting: QmpGreeting) => void; reject: (error: unknown) => void } | undefined {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#release();
    return settle;
  }
}

/** The deadline of a greeting has passed, after this many bytes of the peer's. */
export function silenceError(name: string, timeoutMs: number, bytesReceived: number, tail: string): Error {
  if (bytesReceived === 0) return new QmpGreetingTimeoutError(name, timeoutMs);
  return new QmpProtocolError(
    `it sent ${bytesReceived} bytes and no whole greeting within ${timeoutMs} ms`,
    tail,
  );
}

/** The connection ended for `cause` before the greeting. */
export function ungreetedError(name: string, cause: Error): Error {
  if (cause instanceof QmpProtocolError || cause instanceof QmpConnectError) return cause;
  return new QmpConnectError(
    'closed',
    name,
    `${name} ended the connection before its greeting: ${cause.message}`,
    {
      cause,
      remedy: 'QEMU is exiting, or the address is not a QMP monitor',
    },
  );
}

/** qmp_capabilities did not succeed. Garbage stays a protocol error. */
export function negotiationError(name: string, error: Error): Error {
  const root = error instanceof QmpDisconnectedError && error.cause instanceof Error ? error.cause : error;
  if (root instanceof QmpProtocolError) return root;
  return new QmpNegotiationError(`${name} greeted, but negotiation of capabilities failed: ${root.message}`, {
    cause: root,
  });
}
