// SPDX-License-Identifier: Apache-2.0
// What a program holds of a connection: typed commands and events over a session.

import type { QmpCommandOptions } from './command-table.ts';
import type { QmpRunState } from './errors.ts';
import type { QmpEventOptions, QmpEventStream, QmpRawEvent } from './event-hub.ts';
import type { QmpCommands, QmpEvents, QmpOobCommandName } from './generated/schema.ts';
import type { QmpValue } from './json.ts';
import type { QmpGreeting } from './message.ts';
import { QmpSchema } from './schema.ts';
import type { QmpClosed, QmpStats } from './session-types.ts';
import type { QmpSession } from './session.ts';

export type QmpCommandName = keyof QmpCommands;
export type QmpEventName = keyof QmpEvents;
export type QmpArguments<C extends QmpCommandName> = QmpCommands[C]['arguments'];
export type QmpReturn<C extends QmpCommandName> = QmpCommands[C]['returns'];

/** An event of a known name; a union over several names narrows by `name`. */
export type QmpEvent<N extends QmpEventName = QmpEventName> = {
  [K in N]: Omit<QmpRawEvent, 'name' | 'data'> & { readonly name: K; readonly data: QmpEvents[K] };
}[N];

/** Arguments and options of a command; the arguments may be left out when the command demands none. */
export type QmpExecuteRest<C extends QmpCommandName, O = QmpCommandOptions> =
  Record<string, never> extends QmpArguments<C>
    ? [args?: QmpArguments<C> | undefined, options?: O]
    : [args: QmpArguments<C>, options?: O];

/**
 * A client of one monitor, made by `connectQmp`. All methods may be called at any time and in any number at once;
 * commands in band are carried out in the order of the calls.
 *
 * The types are those of the QEMU that they were generated from (see `QMP_TYPES_VERSION`). Another version may lack
 * members and know other enum values: ask `readSchema()`.
 */
export class QmpClient implements AsyncDisposable {
  readonly #session: QmpSession;
  readonly #commandTimeoutMs: number;
  #schema: Promise<QmpSchema> | undefined;

  /** Made by `connectQmp` and `connectQmpOver`. */
  constructor(session: QmpSession, commandTimeoutMs: number) {
    this.#session = session;
    this.#commandTimeoutMs = commandTimeoutMs;
  }

  /** 'running' from the moment that a program has the client; then 'closing' and 'closed', in this order. */
  get state(): QmpRunState {
    return this.#session.state;
  }

  /** What QEMU said of itself. */
  get greeting(): QmpGreeting {
    return this.#session.greeting;
  }

  /** Whether commands can be sent out of band. */
  get oob(): boolean {
    return this.#session.oob;
  }

  /** A copy of the counters. */
  get stats(): QmpStats {
    return this.#session.stats;
  }

  /** Resolves when the connection has ended and everything it held is free. Never rejects. */
  get closed(): Promise<QmpClosed> {
    return this.#session.closed;
  }

  /**
   * Executes a command in band and returns what QEMU returned.
   * @throws QmpCommandError when QEMU answers with an error
   * @throws QmpTimeoutError at the deadline; the command may still be carried out, the connection stays
   * @throws QmpDisconnectedError when the connection ends first; the command may have been carried out
   * @throws QmpStateError when the connection is not running; nothing was sent
   * @throws the signal's reason when aborted; what was sent may still be carried out
   */
  execute<C extends QmpCommandName>(command: C, ...rest: QmpExecuteRest<C>): Promise<QmpReturn<C>> {
    const [args, options] = rest;
    return this.#execute(command, args, options, false);
  }

  /**
   * Executes a command out of band: QEMU carries it out at once, also while commands in band are stuck. Few commands
   * can (`migrate-pause`, `migrate-recover`, `yank`). It passes the queue of this client as well.
   * @throws as `execute`; QmpStateError also when the peer does not offer it (see `oob`)
   */
  executeOob<C extends QmpOobCommandName>(command: C, ...rest: QmpExecuteRest<C>): Promise<QmpReturn<C>> {
    const [args, options] = rest;
    return this.#execute(command, args, options, true) as Promise<QmpReturn<C>>;
  }

  /** As `execute`, for commands that have no types here. */
  executeRaw(command: string, args?: object, options?: QmpCommandOptions): Promise<QmpValue> {
    return this.#execute(command, args, options, false);
  }

  /** As `executeOob`, for commands that have no types here. */
  executeOobRaw(command: string, args?: object, options?: QmpCommandOptions): Promise<QmpValue> {
    return this.#execute(command, args, options, true);
  }

  /**
   * The events with one of these names (all names when left out), in order, from now on. A stream opened before the
   * first command begins with every event since the connection opened, those of the handshake included.
   */
  events<N extends QmpEventName>(names: readonly N[], options?: QmpEventOptions): QmpEventStream<QmpEvent<N>>;
  events(names?: readonly string[], options?: QmpEventOptions): QmpEventStream;
  events(names?: readonly string[], options: QmpEventOptions = {}): QmpEventStream {
    return this.#session.listen(names, options);
  }

  /** What this QEMU can do, read from it once per connection. @throws as `execute` */
  readSchema(options?: QmpCommandOptions): Promise<QmpSchema> {
    this.#schema ??= this.executeRaw('query-qmp-schema', undefined, options).then(
      (reply) => new QmpSchema(reply),
      (error: unknown) => {
        // Somebody's deadline must not be everybody's answer.
        this.#schema = undefined;
        throw error;
      },
    );
    return this.#schema;
  }

  /** Ends the connection. Commands in flight reject with QmpDisconnectedError. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #execute(
    command: string,
    args: object | undefined,
    options: QmpCommandOptions = {},
    oob: boolean,
  ): Promise<QmpValue> {
    return this.#session.execute({
      command,
      args,
      oob,
      timeoutMs: options.timeoutMs ?? this.#commandTimeoutMs,
      signal: options.signal,
    });
  }
}
