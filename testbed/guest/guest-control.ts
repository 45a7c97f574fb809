// SPDX-License-Identifier: Apache-2.0
// Asks the guest over QEMU's second serial port. Requests are repeated under the same id until they are answered; the
// guest does a request once however often it comes, so a line lost around the switchover costs time and nothing else.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GuestControlError } from '../errors.ts';
import { formatLine, LineReader } from './checked-line.ts';
import type { WritePattern } from '../../src/experiment/index.ts';
import { formatPattern } from './pattern.ts';
import type { AppStatus, CoherenceReport, GuestStatus, PageLocation } from './reports.ts';
import { readCoherenceReport, readPageLocation, readStatus } from './reports.ts';
import { connectUnix } from './unix-socket.ts';

export interface RequestOptions {
  readonly timeoutMs?: number;
}

interface Pending {
  readonly id: string;
  readonly answer: (fields: Readonly<Record<string, unknown>>) => void;
  readonly fail: (error: Error) => void;
}

const REPEAT_EVERY_MS = 1000;
const DEFAULT_TIMEOUT_MS = 15_000;
const APP_POLL_MS = 200;
/** A check takes half a second for 400 MiB; a guest that stands still in post-copy may take far longer. */
const VERIFY_TIMEOUT_MS = 120_000;

function runningApp(app: AppStatus | undefined): AppStatus {
  if (app === undefined)
    throw new GuestControlError('wanted an application in the guest, got a guest without one');
  if (app.state === 'running') return app;
  const how =
    app.state === 'starting'
      ? 'one that has not come up yet'
      : app.signal !== undefined
        ? `its end by signal ${app.signal}`
        : `its end with exit code ${app.exitCode ?? 'unknown'}`;
  const output = app.output.trim();
  throw new GuestControlError(
    `wanted ${app.name} running in the guest, got ${how}; its output ends: ${output === '' ? '(nothing)' : output}`,
    { remedy: 'signal 9 means that the guest had too little memory; else see what it says' },
  );
}

export class GuestControl {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #reader = new LineReader();
  readonly #prefix = randomBytes(6).toString('hex');
  #count = 0;
  #pending: Pending | undefined;
  #closedBecause: string | undefined;
  /** The guest remembers its last request only: one at a time. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding('latin1');
    socket.on('data', (piece) => this.#receive(String(piece)));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', () => this.#end('QEMU closed the connection'));
  }

  /** Connects to the chardev's socket, waiting for QEMU to make it. @throws GuestControlError */
  static async connect(path: string, timeoutMs = 5000): Promise<GuestControl> {
    try {
      return new GuestControl(await connectUnix(path, timeoutMs), path);
    } catch (error) {
      throw new GuestControlError(`cannot connect to the guest's control port at ${path}`, {
        cause: error,
        remedy:
          'is QEMU running with -chardev socket,id=ctl,path=...,server=on,wait=off -serial chardev:ctl?',
      });
    }
  }

  /** @throws GuestControlError when the guest gave no answer in time. */
  async ping(options: RequestOptions = {}): Promise<void> {
    await this.#request('ping', options);
  }

  async status(options: RequestOptions = {}): Promise<GuestStatus> {
    return readStatus(await this.#request('status', options));
  }

  /** Waits for the arena to be filled and the writer to run. @throws GuestControlError after `timeoutMs`. */
  async waitReady(timeoutMs: number): Promise<GuestStatus> {
    return await this.status({ timeoutMs });
  }

  /** The guest's application, which must be running. @throws GuestControlError with its last output when it is not */
  async checkApp(options: RequestOptions = {}): Promise<AppStatus> {
    return runningApp((await this.status(options)).app);
  }

  /** Waits for the application to run. @throws GuestControlError when it ended, or does not run after `timeoutMs` */
  async waitApp(timeoutMs: number): Promise<AppStatus> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const { app } = await this.status();
      if (app?.state !== 'starting' || performance.now() > deadlineMs) return runningApp(app);
      await sleep(APP_POLL_MS);
    }
  }

  /** Stops both writers between two pages and two blocks. */
  async pause(options: RequestOptions = {}): Promise<GuestStatus> {
    return readStatus(await this.#request('pause', options));
  }

  async resume(options: RequestOptions = {}): Promise<GuestStatus> {
    return readStatus(await this.#request('resume', options));
  }

  /** Flushes the guest's disk. */
  async sync(options: RequestOptions = {}): Promise<GuestStatus> {
    return readStatus(await this.#request('sync', options));
  }

  /** Checks all memory and all disk blocks; the writers stand still meanwhile and go on as before. */
  async verify(options: RequestOptions = {}): Promise<CoherenceReport> {
    return readCoherenceReport(await this.#request('verify', { timeoutMs: VERIFY_TIMEOUT_MS, ...options }));
  }

  /** Where the `n`-th (from 0) hot or cold page lies. */
  async where(kind: 'hot' | 'cold', n: number, options: RequestOptions = {}): Promise<PageLocation> {
    return readPageLocation(await this.#request(`where ${kind} ${n}`, options));
  }

  /** Goes over to another pattern; what was written before stays under the check. At most 63 times in a guest's life. */
  async setPattern(pattern: WritePattern, options: RequestOptions = {}): Promise<void> {
    await this.#request(`pattern ${formatPattern(pattern)}`, options);
  }

  /** Closes the connection; QEMU listens for the next one. */
  close(): void {
    this.#end('closed');
    this.#socket.destroy();
  }

  async #request(command: string, options: RequestOptions): Promise<Readonly<Record<string, unknown>>> {
    const turn = this.#queue.then(
      async () => await this.#ask(command, options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    );
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }

  async #ask(command: string, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
    const id = `${this.#prefix}-${this.#count++}`;
    const line = formatLine(`${id} ${command}`);
    const done = new AbortController();
    const answered = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      this.#pending = { id, answer: resolve, fail: reject };
      if (this.#closedBecause !== undefined) reject(this.#lost(this.#closedBecause));
    });
    try {
      const fields = await Promise.race([answered, this.#repeat(line, command, timeoutMs, done.signal)]);
      if (fields['ok'] !== true) {
        throw new GuestControlError(`the guest refused "${command}": ${String(fields['error'])}`);
      }
      return fields;
    } finally {
      this.#pending = undefined;
      done.abort();
      answered.catch(() => undefined);
    }
  }

  /** Sends the line again and again; rejects at the deadline. */
  async #repeat(line: string, command: string, timeoutMs: number, signal: AbortSignal): Promise<never> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        throw new GuestControlError(`no answer to "${command}" within ${timeoutMs} ms on ${this.#path}`, {
          remedy: "look at the guest's console log; is the guest running on this side of the migration?",
        });
      }
      // What could not be written yet need not be written twice.
      if (this.#socket.writableLength === 0) this.#socket.write(line, 'latin1');
      await sleep(Math.min(REPEAT_EVERY_MS, leftMs), undefined, { signal });
    }
  }

  #receive(piece: string): void {
    for (const payload of this.#reader.push(piece)) {
      const fields = JSON.parse(payload) as Readonly<Record<string, unknown>>;
      if (fields['id'] === this.#pending?.id) this.#pending?.answer(fields);
    }
  }

  #lost(why: string): GuestControlError {
    return new GuestControlError(`the guest's control port at ${this.#path} is gone: ${why}`);
  }

  #end(why: string): void {
    this.#closedBecause ??= why;
    this.#pending?.fail(this.#lost(this.#closedBecause));
  }
}
