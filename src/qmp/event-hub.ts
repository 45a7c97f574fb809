// SPDX-License-Identifier: Apache-2.0
// Hands events to any number of listeners. A listener has a bounded queue of its own and loses its oldest events when it
// does not keep up: a slow reader must delay neither replies nor other listeners.

import type { QmpObject } from './json.ts';

/** An event as it came, whatever its name. */
export interface QmpRawEvent {
  readonly name: string;
  readonly data: QmpObject;
  /** QEMU's wall clock, in microseconds since 1970. NaN when QEMU could not read its clock. */
  readonly timestampUs: number;
  /** This process's monotonic clock when the bytes arrived, in milliseconds with fractions. */
  readonly receivedMs: number;
}

export interface QmpEventOptions {
  /** Events held for a reader that is busy; beyond it the oldest are dropped. Default: that of the client (1024). */
  readonly maxQueued?: number;
  /** Ends the stream: a waiting `next()` rejects with its reason, and later calls do too. */
  readonly signal?: AbortSignal;
}

type Ending = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown };

interface Waiter<E> {
  readonly resolve: (result: IteratorResult<E, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A stream of events. Iterate it once; leaving a `for await` closes it. What was queued when the connection ended is
 * still delivered, then the stream ends: normally after `close()` of the stream or the client, with QmpDisconnectedError
 * when the connection was lost.
 */
export interface QmpEventStream<E = QmpRawEvent>
  extends AsyncIterableIterator<E, undefined>, AsyncDisposable {
  /** Events lost because this stream was not read fast enough. Never decreases. */
  readonly dropped: number;
  /** Events waiting to be read. */
  readonly queued: number;
  /** The next event. @throws QmpDisconnectedError when the connection was lost and the queue is empty */
  next(): Promise<IteratorResult<E, undefined>>;
  /** Closes the stream. Called by `for await` when it is left early. */
  return(): Promise<IteratorResult<E, undefined>>;
  /** Stops listening and forgets what is queued. A waiting `next()` reports the end. Idempotent. */
  close(): void;
  [Symbol.asyncIterator](): this;
}

class EventStream implements QmpEventStream {
  readonly #maxQueued: number;
  readonly #names: ReadonlySet<string> | undefined;
  readonly #onClose: (stream: EventStream) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: QmpRawEvent[] = [];
  readonly #waiters: Waiter<QmpRawEvent>[] = [];
  #ending: Ending | undefined;
  #dropped = 0;

  constructor(
    names: readonly string[] | undefined,
    maxQueued: number,
    signal: AbortSignal | undefined,
    onClose: (stream: EventStream) => void,
  ) {
    if (!Number.isInteger(maxQueued) || maxQueued < 1) {
      throw new RangeError(`expected maxQueued to be an integer of at least 1, got ${maxQueued}`);
    }
    this.#names = names === undefined ? undefined : new Set(names);
    this.#maxQueued = maxQueued;
    this.#onClose = onClose;
    this.#signal = signal;
    if (signal?.aborted === true) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get dropped(): number {
    return this.#dropped;
  }

  get queued(): number {
    return this.#queue.length;
  }

  next(): Promise<IteratorResult<QmpRawEvent, undefined>> {
    const event = this.#queue.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#ending === undefined) this.#waiters.push(waiter);
      else settle(waiter, this.#ending);
    });
  }

  return(): Promise<IteratorResult<QmpRawEvent, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  close(): void {
    this.#queue.length = 0;
    this.finish({ kind: 'done' });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Whether the stream wants events of this name. */
  wants(name: string): boolean {
    return this.#names === undefined || this.#names.has(name);
  }

  /** Takes an event in. Returns how many events that cost (0 or 1). */
  offer(event: QmpRawEvent): number {
    if (this.#ending !== undefined) return 0;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: event });
      return 0;
    }
    this.#queue.push(event);
    if (this.#queue.length <= this.#maxQueued) return 0;
    this.#queue.shift();
    this.#dropped += 1;
    return 1;
  }

  /** Nothing more will come. Queued events stay readable. */
  finish(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#onClose(this);
    for (const waiter of this.#waiters.splice(0)) settle(waiter, ending);
  }

  readonly #abort = (): void => {
    this.#queue.length = 0;
    this.finish({ kind: 'failed', error: this.#signal?.reason });
  };
}

function settle<E>(waiter: Waiter<E>, ending: Ending): void {
  if (ending.kind === 'done') waiter.resolve({ done: true, value: undefined });
  else waiter.reject(ending.error);
}

/** The listeners of one connection. */
export class EventHub {
  readonly #maxQueued: number;
  readonly #streams = new Set<EventStream>();
  #early: QmpRawEvent[] | undefined = [];
  #ending: Ending | undefined;
  #dropped = 0;
  #received = 0;

  constructor(maxQueued: number) {
    this.#maxQueued = maxQueued;
  }

  /** Events received so far. */
  get received(): number {
    return this.#received;
  }

  /** Events dropped so far, over all listeners. */
  get dropped(): number {
    return this.#dropped;
  }

  listen(names: readonly string[] | undefined, options: QmpEventOptions): QmpEventStream {
    const stream = new EventStream(names, options.maxQueued ?? this.#maxQueued, options.signal, (closed) => {
      this.#streams.delete(closed);
    });
    for (const event of this.#early ?? []) this.#offer(stream, event);
    if (this.#ending !== undefined) stream.finish(this.#ending);
    else if (options.signal?.aborted !== true) this.#streams.add(stream);
    return stream;
  }

  publish(event: QmpRawEvent): void {
    this.#received += 1;
    if (this.#early !== undefined) {
      this.#early.push(event);
      if (this.#early.length > this.#maxQueued) this.#early.shift();
    }
    for (const stream of this.#streams) this.#offer(stream, event);
  }

  /**
   * Until this call every new listener begins with all events since the connection opened. The session calls it with
   * the caller's first command, so that a caller who listens first misses nothing that came during the handshake.
   */
  endEarlyPhase(): void {
    this.#early = undefined;
  }

  end(error: Error | undefined): void {
    this.#ending = error === undefined ? { kind: 'done' } : { kind: 'failed', error };
    for (const stream of [...this.#streams]) stream.finish(this.#ending);
  }

  #offer(stream: EventStream, event: QmpRawEvent): void {
    if (stream.wants(event.name)) this.#dropped += stream.offer(event);
  }
}
