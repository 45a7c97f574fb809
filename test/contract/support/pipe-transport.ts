// SPDX-License-Identifier: Apache-2.0
// A QMP transport in memory whose peer is a function and whose chunks end exactly where a test wants them to.

import type { QmpTransport, QmpTransportHandlers } from '../../../src/qmp/index.ts';

export class PipeTransport implements QmpTransport {
  readonly name = 'pipe:test';
  /** Everything that the client wrote. */
  written = '';
  closeCalls = 0;
  #handlers: QmpTransportHandlers | undefined;
  #position = 0;
  readonly #cuts: ReadonlySet<number> | 'everywhere';
  readonly #greeting: string;
  readonly #onWrite: (text: string, peer: PipeTransport) => void;

  /** `cuts` are offsets in all that the peer sends; `onWrite` answers what the client writes, with `deliver`. */
  constructor(
    greeting: string,
    cuts: ReadonlySet<number> | 'everywhere',
    onWrite: (text: string, peer: PipeTransport) => void,
  ) {
    this.#greeting = greeting;
    this.#cuts = cuts;
    this.#onWrite = onWrite;
  }

  /** Bytes delivered so far. */
  get delivered(): number {
    return this.#position;
  }

  start(handlers: QmpTransportHandlers): void {
    this.#handlers = handlers;
    this.deliver(this.#greeting);
  }

  write(text: string): void {
    this.written += text;
    this.#onWrite(text, this);
  }

  /** Hands bytes to the client, one chunk for each piece between cuts. */
  deliver(text: string): void {
    const bytes = Buffer.from(text);
    let start = 0;
    for (let end = 1; end <= bytes.length; end += 1) {
      this.#position += 1;
      if (end < bytes.length && this.#cuts !== 'everywhere' && !this.#cuts.has(this.#position)) continue;
      this.#handlers?.onData(bytes.subarray(start, end));
      start = end;
    }
  }

  /** Ends the stream. */
  end(cause: Error): void {
    this.#handlers?.onEnd(cause);
  }

  close(): Promise<void> {
    this.closeCalls += 1;
    return Promise.resolve();
  }
}
