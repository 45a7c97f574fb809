// SPDX-License-Identifier: Apache-2.0
// Commands between call and reply: ids, the limit in flight, deadlines, aborts. It never decides that a connection is
// over; a command whose caller has gone stays in the table, because QEMU still has it in its queue.

import { randomBytes } from 'node:crypto';
import type { Clock } from '../common/index.ts';
import { startDeadline } from './deadline.ts';
import { QmpTimeoutError } from './errors.ts';
import type { QmpValue } from './json.ts';
import { formatCommand } from './message.ts';

/**
 * Most in-band commands that QEMU may have at a time. QEMU stops reading a monitor, commands out of band included, when
 * 8 commands wait in that monitor's queue. The one being executed is not in the queue, hence the "at most eight in
 * flight" of the protocol's text; but while the main loop is busy (final stage of a migration, or a command on another
 * monitor of the same process) nothing is taken out of the queue, and with the eighth command OOB is dead. Measured on
 * 10.0.2 with the main loop blocked: 7 in flight pass query-yank out of band, 8 do not.
 */
export const MAX_IN_BAND_IN_FLIGHT = 7;

/** The caller's wishes for one command. */
export interface QmpCommandOptions {
  /** Deadline from call to reply, in ms, waiting behind other commands included. Infinity: none. */
  readonly timeoutMs?: number;
  /** Gives the command up: the call rejects with the signal's reason. QEMU may still carry out what was sent. */
  readonly signal?: AbortSignal;
}

export interface CommandRequest {
  readonly command: string;
  readonly args: object | undefined;
  readonly oob: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

interface Entry {
  readonly command: string;
  readonly oob: boolean;
  readonly text: string;
  /** undefined once the caller has been answered. */
  caller: { resolve: (value: QmpValue) => void; reject: (error: unknown) => void } | undefined;
  release: () => void;
}

export type Settlement = 'delivered' | 'late' | 'unknown';

export class CommandTable {
  readonly #clock: Clock;
  readonly #write: (text: string) => void;
  // QEMU sends the reply to a command of the monitor's previous client to the present one. Ids that no other session
  // uses keep it from being taken for a reply to one of ours.
  readonly #idPrefix = `sw-${randomBytes(4).toString('hex')}-`;
  readonly #waiting = new Map<string, Entry>();
  readonly #inFlight = new Map<string, Entry>();
  #inBandInFlight = 0;
  #lastId = 0;
  #sent = 0;

  constructor(clock: Clock, write: (text: string) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  /** Commands written so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Commands that QEMU has and has not answered, those whose caller has gone included. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Commands that wait on this side for one in flight to be answered. */
  get queued(): number {
    return this.#waiting.size;
  }

  submit(request: CommandRequest): Promise<QmpValue> {
    return new Promise((resolve, reject) => {
      const { command, oob, timeoutMs, signal } = request;
      signal?.throwIfAborted();
      this.#lastId += 1;
      const id = `${this.#idPrefix}${this.#lastId}`;
      const text = formatCommand(id, command, request.args, oob);
      const giveUp = (error: unknown): void => this.#abandon(id, entry, error);
      const onAbort = (): void => giveUp(signal?.reason);
      const stopDeadline = startDeadline(this.#clock, timeoutMs, () =>
        giveUp(new QmpTimeoutError(command, timeoutMs, this.#inFlight.has(id))),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      const release = (): void => {
        stopDeadline();
        signal?.removeEventListener('abort', onAbort);
      };
      const entry: Entry = { command, oob, text, caller: { resolve, reject }, release };
      this.#waiting.set(id, entry);
      if (oob) this.#send(id, entry);
      else this.#pump();
    });
  }

  /** Gives the reply with this id to its caller, if there is one. `reply` is called with the command's name. */
  settle(id: QmpValue | undefined, reply: (command: string) => QmpValue | Error): Settlement {
    const entry = typeof id === 'string' ? this.#inFlight.get(id) : undefined;
    if (entry === undefined) return 'unknown';
    this.#inFlight.delete(id as string);
    if (!entry.oob) this.#inBandInFlight -= 1;
    const caller = takeCaller(entry);
    if (caller !== undefined) {
      const outcome = reply(entry.command);
      if (outcome instanceof Error) caller.reject(outcome);
      else caller.resolve(outcome);
    }
    this.#pump();
    return caller === undefined ? 'late' : 'delivered';
  }

  /** Rejects every caller and forgets every command. `makeError` is called once for each command that had a caller. */
  failAll(makeError: (command: string) => Error): void {
    const entries = [...this.#inFlight.values(), ...this.#waiting.values()];
    this.#inFlight.clear();
    this.#waiting.clear();
    this.#inBandInFlight = 0;
    for (const entry of entries) takeCaller(entry)?.reject(makeError(entry.command));
  }

  #abandon(id: string, entry: Entry, error: unknown): void {
    // What was not sent is forgotten; what was sent keeps its place in flight until QEMU answers it.
    this.#waiting.delete(id);
    takeCaller(entry)?.reject(error);
  }

  #pump(): void {
    for (const [id, entry] of this.#waiting) {
      if (this.#inBandInFlight >= MAX_IN_BAND_IN_FLIGHT) return;
      this.#send(id, entry);
    }
  }

  #send(id: string, entry: Entry): void {
    this.#waiting.delete(id);
    this.#inFlight.set(id, entry);
    if (!entry.oob) this.#inBandInFlight += 1;
    this.#sent += 1;
    this.#write(entry.text);
  }
}

function takeCaller(entry: Entry): Entry['caller'] {
  const caller = entry.caller;
  entry.caller = undefined;
  entry.release();
  return caller;
}
