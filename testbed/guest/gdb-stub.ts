// SPDX-License-Identifier: Apache-2.0
// Just enough of GDB's remote protocol to read and write guest-physical memory behind the guest's back, which is how a
// test proves that the coherence check sees a single wrong word. The guest stands still from connecting to detaching.

import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GdbStubError } from '../errors.ts';
import { connectUnix } from './unix-socket.ts';

/** QEMU's packets hold 4096 characters, two for each byte. */
const CHUNK_BYTES = 1024;
const ANSWER_TIMEOUT_MS = 5000;

function checksumOf(body: string): string {
  let sum = 0;
  for (let i = 0; i < body.length; i++) sum = (sum + body.charCodeAt(i)) & 0xff;
  return sum.toString(16).padStart(2, '0');
}

export class GdbStub {
  readonly #socket: Socket;
  #received = '';
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (piece) => {
      this.#received += String(piece);
    });
    socket.on('error', () => {
      this.#ended = true;
    });
    socket.on('close', () => {
      this.#ended = true;
    });
  }

  /** Connects, which stops the guest, and selects physical addresses. @throws GdbStubError */
  static async connect(path: string, timeoutMs = 5000): Promise<GdbStub> {
    let socket: Socket;
    try {
      socket = await connectUnix(path, timeoutMs);
    } catch (error) {
      throw new GdbStubError(`cannot connect to the gdbstub at ${path}`, {
        cause: error,
        remedy: 'is QEMU running with -chardev socket,path=...,server=on,wait=off,id=gdb0 -gdb chardev:gdb0?',
      });
    }
    const stub = new GdbStub(socket);
    // Without this question first, QEMU has not chosen a CPU whose memory is meant.
    await stub.#ask('?');
    await stub.#expectOk('Qqemu.PhyMemMode:1');
    return stub;
  }

  async readPhysical(address: number, lengthBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; at < lengthBytes; at += CHUNK_BYTES) {
      const size = Math.min(CHUNK_BYTES, lengthBytes - at);
      const answer = await this.#ask(`m${(address + at).toString(16)},${size.toString(16)}`);
      const part = Buffer.from(answer, 'hex');
      if (part.length !== size) {
        throw new GdbStubError(
          `reading ${size} bytes at 0x${(address + at).toString(16)}: got "${answer.slice(0, 40)}"`,
        );
      }
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async writePhysical(address: number, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += CHUNK_BYTES) {
      const part = Buffer.from(data.subarray(at, at + CHUNK_BYTES));
      await this.#expectOk(
        `M${(address + at).toString(16)},${part.length.toString(16)}:${part.toString('hex')}`,
      );
    }
  }

  /** Inverts all bits of the 8-byte word at an address. */
  async flipWord(address: number): Promise<void> {
    const word = await this.readPhysical(address, 8);
    await this.writePhysical(
      address,
      word.map((byte) => byte ^ 0xff),
    );
  }

  /** Lets the guest run on and closes the connection. */
  async detach(): Promise<void> {
    await this.#expectOk('Qqemu.PhyMemMode:0');
    await this.#expectOk('D');
    this.#socket.destroy();
  }

  async #expectOk(body: string): Promise<void> {
    const answer = await this.#ask(body);
    if (answer !== 'OK')
      throw new GdbStubError(`gdbstub: wanted OK to "${body.slice(0, 40)}", got "${answer}"`);
  }

  async #ask(body: string): Promise<string> {
    this.#socket.write(`$${body}#${checksumOf(body)}`, 'latin1');
    const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
    while (performance.now() < deadlineMs && !this.#ended) {
      const match = /\$([^#]*)#([0-9a-f]{2})/.exec(this.#received);
      if (match?.[1] !== undefined) {
        this.#received = this.#received.slice(match.index + match[0].length);
        this.#socket.write('+', 'latin1');
        return match[1];
      }
      await sleep(1);
    }
    throw new GdbStubError(
      `gdbstub: no answer to "${body.slice(0, 40)}" (${this.#ended ? 'connection closed' : 'timed out'})`,
    );
  }
}
