// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream into lines. It works on bytes, so a chunk may end anywhere, also inside a UTF-8 sequence or
// between CR and LF; each byte is looked at once, however large the line and however small the chunks.

import { isUtf8 } from 'node:buffer';
import { RAW_TAIL_LENGTH, QmpProtocolError } from './errors.ts';

const LF = 0x0a;
const CR = 0x0d;

/** The default limit of one line: far above the largest reply known (query-qmp-schema, 0.24 MB), far below memory. */
export const DEFAULT_MAX_LINE_BYTES = 64 * 1024 * 1024;

/** Splits at LF, drops a CR before it. Not reusable after it has thrown. */
export class LineFramer {
  readonly #maxLineBytes: number;
  #chunks: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxLineBytes: number = DEFAULT_MAX_LINE_BYTES) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The end of the line that has not ended yet, for error messages. */
  tail(): string {
    // Four bytes per character at most, and the last chunks hold the tail.
    const last: Buffer[] = [];
    let bytes = 0;
    for (let i = this.#chunks.length - 1; i >= 0 && bytes < RAW_TAIL_LENGTH * 4; i -= 1) {
      const chunk = this.#chunks[i];
      if (chunk === undefined) break;
      last.unshift(chunk);
      bytes += chunk.length;
    }
    return Buffer.concat(last)
      .subarray(-RAW_TAIL_LENGTH * 4)
      .toString('utf8')
      .slice(-RAW_TAIL_LENGTH);
  }

  /**
   * Takes in a chunk and hands each line that it completes to `onLine`, without its line end, in order.
   * @throws QmpProtocolError when a line is longer than the limit or is not UTF-8; lines before it were handed on
   */
  push(chunk: Buffer, onLine: (line: string) => void): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LF, start);
      const part = chunk.subarray(start, end === -1 ? undefined : end);
      if (part.length > 0) {
        this.#chunks.push(part);
        this.#pendingBytes += part.length;
      }
      if (this.#pendingBytes > this.#maxLineBytes) {
        throw new QmpProtocolError(
          `a line is longer than the limit of ${this.#maxLineBytes} bytes`,
          this.tail(),
        );
      }
      if (end === -1) return;
      onLine(this.#takeLine());
      start = end + 1;
    }
  }

  #takeLine(): string {
    const [only, ...more] = this.#chunks;
    let bytes = only === undefined ? Buffer.alloc(0) : more.length === 0 ? only : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#pendingBytes = 0;
    if (bytes.at(-1) === CR) bytes = bytes.subarray(0, -1);
    if (!isUtf8(bytes)) throw new QmpProtocolError('a line is not UTF-8', bytes.toString('latin1'));
    return bytes.toString('utf8');
  }
}
