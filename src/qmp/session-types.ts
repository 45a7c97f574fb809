// SPDX-License-Identifier: Apache-2.0
// What a session is given, and what it reports of itself.

import type { Clock } from '../common/index.ts';
import type { QmpDisconnectedError } from './errors.ts';

export interface SessionOptions {
  readonly clock: Clock;
  readonly greetingTimeoutMs: number;
  readonly maxLineBytes: number;
  readonly maxQueuedEvents: number;
  readonly signal: AbortSignal | undefined;
}

/** How a connection ended: `error` is undefined when this side closed it. */
export interface QmpClosed {
  readonly error: QmpDisconnectedError | undefined;
}

/** Counters of one connection. None ever decreases, except `inFlight` and `queued`. */
export interface QmpStats {
  readonly commandsSent: number;
  /** Commands that QEMU has not answered yet, those given up by their callers included. */
  readonly inFlight: number;
  /** Commands that have not been sent yet, because enough are in flight. */
  readonly queued: number;
  /** Replies that came after their caller had given up (deadline, abort). Dropped. */
  readonly lateReplies: number;
  /** Replies with an id that this connection never used or that was answered already. Dropped. */
  readonly unknownReplies: number;
  readonly events: number;
  /** Events dropped because a listener was slow, summed over listeners. */
  readonly eventsDropped: number;
  readonly bytesReceived: number;
}
