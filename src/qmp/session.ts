// SPDX-License-Identifier: Apache-2.0
// One connection from greeting to end: run states, dispatch of what the peer says, and the single path on which a
// connection ends. It knows QMP's wire rules, no command by name except qmp_capabilities.

import type { Clock } from '../common/index.ts';
import { toError } from '../common/index.ts';
import { CommandTable } from './command-table.ts';
import type { CommandRequest } from './command-table.ts';
import { QmpCommandError, QmpDisconnectedError, QmpProtocolError, QmpStateError } from './errors.ts';
import type { QmpRunState } from './errors.ts';
import { EventHub } from './event-hub.ts';
import type { QmpEventOptions, QmpEventStream } from './event-hub.ts';
import { LineFramer } from './framing.ts';
import { PendingGreeting, negotiationError, silenceError, ungreetedError } from './handshake.ts';
import type { QmpValue } from './json.ts';
import { parseMessage } from './message.ts';
import type { QmpGreeting, QmpIncoming } from './message.ts';
import type { QmpClosed, QmpStats, SessionOptions } from './session-types.ts';
import type { QmpTransport } from './transport.ts';

export class QmpSession {
  readonly closed: Promise<QmpClosed>;
  readonly #transport: QmpTransport;
  readonly #clock: Clock;
  readonly #framer: LineFramer;
  readonly #commands: CommandTable;
  readonly #events: EventHub;
  #state: QmpRunState = 'connecting';
  #greeting: QmpGreeting | undefined;
  #pendingGreeting: PendingGreeting | undefined;
  #oob = false;
  /** Why the connection ended, the same object for every waiter. Set on leaving 'running' or 'connecting'. */
  #cause: Error | undefined;
  #resolveClosed: (closed: QmpClosed) => void = () => undefined;
  #bytesReceived = 0;
  #lateReplies = 0;
  #unknownReplies = 0;

  private constructor(transport: QmpTransport, options: SessionOptions) {
    this.#transport = transport;
    this.#clock = options.clock;
    this.#framer = new LineFramer(options.maxLineBytes);
    this.#commands = new CommandTable(options.clock, (text) => transport.write(text));
    this.#events = new EventHub(options.maxQueuedEvents);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Greets and negotiates over `transport`. On rejection the transport is closed and no timer is left. */
  static async open(transport: QmpTransport, options: SessionOptions): Promise<QmpSession> {
    let session: QmpSession;
    try {
      session = new QmpSession(transport, options);
    } catch (error) {
      await transport.close();
      throw error;
    }
    try {
      session.#greeting = await session.#greet(options);
      await session.#negotiate(session.#greeting, options);
    } catch (error) {
      session.#end(toError(error), false);
      await session.closed;
      throw error;
    }
    return session;
  }

  get state(): QmpRunState {
    return this.#state;
  }

  get greeting(): QmpGreeting {
    if (this.#greeting === undefined) throw new QmpStateError('the peer has not greeted yet', this.#state);
    return this.#greeting;
  }

  get oob(): boolean {
    return this.#oob;
  }

  get stats(): QmpStats {
    return {
      commandsSent: this.#commands.sent,
      inFlight: this.#commands.inFlight,
      queued: this.#commands.queued,
      lateReplies: this.#lateReplies,
      unknownReplies: this.#unknownReplies,
      events: this.#events.received,
      eventsDropped: this.#events.dropped,
      bytesReceived: this.#bytesReceived,
    };
  }

  async execute(request: CommandRequest): Promise<QmpValue> {
    const what = `${request.command} needs a running connection to ${this.#transport.name}`;
    if (this.#state !== 'running') {
      const cause = this.#cause;
      throw new QmpStateError(
        `${what}; it is ${this.#state}${cause === undefined ? '' : `: ${cause.message}`}`,
        this.#state,
        { cause, remedy: 'connect again and query the state first' },
      );
    }
    if (request.oob && !this.#oob) {
      throw new QmpStateError(
        `${what} with commands out of band, which this peer does not offer`,
        this.#state,
        { remedy: 'send the command in band; it then waits behind the commands before it' },
      );
    }
    this.#events.endEarlyPhase();
    return this.#commands.submit(request);
  }

  listen(names: readonly string[] | undefined, options: QmpEventOptions): QmpEventStream {
    return this.#events.listen(names, options);
  }

  async close(): Promise<void> {
    this.#end(new Error('closed by this side'), true);
    await this.closed;
  }

  #greet(options: SessionOptions): Promise<QmpGreeting> {
    const pending = new PendingGreeting(options, (timeoutMs) =>
      silenceError(this.#transport.name, timeoutMs, this.#bytesReceived, this.#framer.tail()),
    );
    this.#pendingGreeting = pending;
    this.#transport.start({
      onData: (chunk) => this.#receive(chunk),
      onEnd: (cause) => this.#end(cause, false),
    });
    return pending.promise;
  }

  async #negotiate(greeting: QmpGreeting, options: SessionOptions): Promise<void> {
    const oob = greeting.capabilities.includes('oob');
    const { signal, greetingTimeoutMs: timeoutMs } = options;
    this.#assertOpen();
    try {
      await this.#commands.submit({
        command: 'qmp_capabilities',
        args: oob ? { enable: ['oob'] } : undefined,
        oob: false,
        timeoutMs,
        signal,
      });
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw negotiationError(this.#transport.name, toError(error));
    }
    this.#assertOpen();
    this.#oob = oob;
    this.#state = 'running';
  }

  /** A peer's message and the end of the connection may come in one turn of the event loop, before who awaits it runs. */
  #assertOpen(): void {
    if (this.#cause !== undefined) throw negotiationError(this.#transport.name, this.#cause);
  }

  #receive(chunk: Buffer): void {
    if (this.#cause !== undefined) return;
    const receivedMs = this.#clock.nowMs();
    this.#bytesReceived += chunk.length;
    try {
      this.#framer.push(chunk, (line) => {
        if (this.#cause === undefined && line.trim() !== '')
          this.#dispatch(parseMessage(line), line, receivedMs);
      });
    } catch (error) {
      this.#end(toError(error), false);
    }
  }

  #dispatch(message: QmpIncoming, line: string, receivedMs: number): void {
    if (message.kind === 'event') {
      const { name, data, timestampUs } = message;
      this.#events.publish({ name, data, timestampUs, receivedMs });
    } else if (message.kind === 'greeting') {
      if (this.#pendingGreeting?.settled !== false) throw new QmpProtocolError('a second greeting', line);
      this.#pendingGreeting.resolve(message.greeting);
    } else if (this.#pendingGreeting?.settled === false) {
      throw new QmpProtocolError('a reply before the greeting', line);
    } else if (message.id === undefined) {
      // QEMU answers without id when it could not even parse what it got. Which command that was is anyone's guess.
      const said = message.kind === 'error' ? ` (${message.errorClass}: ${message.desc.slice(0, 120)})` : '';
      throw new QmpProtocolError(`a reply without id${said}`, line);
    } else {
      this.#settle(message);
    }
  }

  #settle(message: Extract<QmpIncoming, { kind: 'return' | 'error' }>): void {
    const settlement = this.#commands.settle(message.id, (command) =>
      message.kind === 'return'
        ? message.value
        : new QmpCommandError(command, message.errorClass, message.desc),
    );
    if (settlement === 'late') this.#lateReplies += 1;
    else if (settlement === 'unknown') this.#unknownReplies += 1;
  }

  /** The only way out. Wakes every waiter with `cause`, in the order in which they came, then frees the transport. */
  #end(cause: Error, wanted: boolean): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    const { name } = this.#transport;
    const error = wanted ? undefined : new QmpDisconnectedError(name, cause);
    this.#pendingGreeting?.reject(ungreetedError(name, cause));
    this.#state = 'closing';
    this.#commands.failAll((command) => new QmpDisconnectedError(name, cause, command));
    this.#events.end(error);
    void this.#transport.close().finally(() => {
      this.#state = 'closed';
      this.#resolveClosed({ error });
    });
  }
}
