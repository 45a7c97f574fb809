// SPDX-License-Identifier: Apache-2.0
// A QMP peer on a real socket that does as a test tells it: answers like QEMU, emits events, stalls, lies, cuts.
//
//   const server = await FakeQmpServer.listen({ handlers: { 'query-status': () => ({ running: true }) } });
//   const client = await connectQmp(server.address);
//   server.emit('STOP');
//   await server.close();
//
// Like QEMU it carries out commands in band one after another, and those out of band at once.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJsonLossless, stringifyJsonLossless } from '../../../src/qmp/index.ts';
import type { QmpAddress, QmpObject, QmpValue } from '../../../src/qmp/index.ts';

/** Returned by a handler that does not answer; `command.reply()` may do so later. */
export const NO_REPLY = Symbol('no reply');

/** Thrown by a handler: answers with this error. */
export class FakeQmpFailure extends Error {
  readonly errorClass: string;

  constructor(desc: string, errorClass = 'GenericError') {
    super(desc);
    this.errorClass = errorClass;
  }
}

/** A command as it arrived. */
export interface ReceivedCommand {
  readonly name: string;
  readonly args: QmpObject;
  readonly id: QmpValue | undefined;
  readonly oob: boolean;
  /** Answers, or answers again. */
  reply(value: QmpValue): void;
  fail(desc: string, errorClass?: string): void;
}

export type FakeQmpHandler = (
  args: QmpObject,
  command: ReceivedCommand,
) => QmpValue | typeof NO_REPLY | undefined | Promise<QmpValue | typeof NO_REPLY | undefined>;

export interface FakeQmpOptions {
  /** By command name. `qmp_capabilities` answers {} unless given; unknown commands give CommandNotFound. */
  readonly handlers?: Readonly<Record<string, FakeQmpHandler>>;
  /** Sent as it is on connection. `undefined`: that of a QEMU 10.0.2. `null`: nothing, like a busy monitor. */
  readonly greeting?: string | null | undefined;
  /** Offered in the usual greeting. Default: oob. */
  readonly capabilities?: readonly string[];
  /** Listen on 127.0.0.1 instead of a UNIX socket. */
  readonly tcp?: boolean;
  /** Cuts what is written into the pieces that are to arrive by themselves. */
  readonly split?: (bytes: Buffer) => readonly Buffer[];
  /** Called for each connection, before the greeting. */
  readonly onConnection?: (socket: Socket) => void;
}

export class FakeQmpServer {
  readonly address: QmpAddress;
  /** All commands of all clients, in order of arrival; those of the negotiation included. */
  readonly received: ReceivedCommand[] = [];
  readonly #options: FakeQmpOptions;
  readonly #server: Server;
  readonly #folder: string;
  readonly #handlers: Map<string, FakeQmpHandler>;
  readonly #connections = new Set<Connection>();
  readonly #arrivals: { name: string; resolve: (command: ReceivedCommand) => void }[] = [];
  #connectionCount = 0;
  #mostInBand = 0;

  private constructor(server: Server, folder: string, address: QmpAddress, options: FakeQmpOptions) {
    this.#server = server;
    this.#folder = folder;
    this.address = address;
    this.#options = options;
    this.#handlers = new Map(Object.entries({ qmp_capabilities: () => ({}), ...options.handlers }));
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async listen(options: FakeQmpOptions = {}): Promise<FakeQmpServer> {
    const folder = await mkdtemp(join(tmpdir(), 'fake-qmp-'));
    const path = join(folder, 'qmp');
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (options.tcp === true) server.listen(0, '127.0.0.1', resolve);
      else server.listen(path, resolve);
    });
    const address: QmpAddress =
      options.tcp === true
        ? { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port }
        : { kind: 'unix', path };
    return new FakeQmpServer(server, folder, address, options);
  }

  /** Connections accepted so far. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Connections open now. */
  get openConnections(): number {
    return this.#connections.size;
  }

  /** The most commands in band that were unanswered at a time on one connection. */
  get mostInBand(): number {
    return this.#mostInBand;
  }

  /** Sets or replaces the answer to a command. */
  handle(name: string, handler: FakeQmpHandler): void {
    this.#handlers.set(name, handler);
  }

  /** Resolves with the next command of this name that arrives from now on. */
  next(name: string): Promise<ReceivedCommand> {
    return new Promise((resolve) => {
      this.#arrivals.push({ name, resolve });
    });
  }

  /** Sends an event to all clients. */
  emit(name: string, data?: QmpValue, timestampUs = 1_700_000_000_123_456): void {
    this.send(formatEvent(name, data, timestampUs));
  }

  /** Sends bytes as they are to all clients. */
  send(bytes: string | Buffer): void {
    for (const connection of this.#connections) connection.write(bytes);
  }

  /** Ends all connections at once, as a killed QEMU does. */
  cut(): void {
    for (const connection of this.#connections) connection.socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    this.#connectionCount += 1;
    const connection = new Connection(socket, this.#options.split, (line) => this.#receive(connection, line));
    this.#connections.add(connection);
    socket.on('close', () => this.#connections.delete(connection));
    this.#options.onConnection?.(socket);
    const { greeting } = this.#options;
    if (greeting !== null) connection.write(greeting ?? usualGreeting(this.#options.capabilities));
  }

  #receive(connection: Connection, line: string): void {
    const message = parseJsonLossless(line) as QmpObject;
    const oob = 'exec-oob' in message;
    const id = message['id'];
    let answered = false;
    const answer = (body: QmpObject): void => {
      if (!answered && !oob) connection.inBand -= 1;
      answered = true;
      connection.write(`${stringifyJsonLossless({ ...body, id })}\r\n`);
    };
    const command: ReceivedCommand = {
      name: (oob ? message['exec-oob'] : message['execute']) as string,
      args: (message['arguments'] ?? {}) as QmpObject,
      id,
      oob,
      reply: (value) => answer({ return: value }),
      fail: (desc, errorClass = 'GenericError') => answer({ error: { class: errorClass, desc } }),
    };
    this.received.push(command);
    if (!oob) connection.inBand += 1;
    this.#mostInBand = Math.max(this.#mostInBand, connection.inBand);
    const run = (): Promise<void> => this.#run(command);
    if (oob) void run();
    else connection.queue = connection.queue.then(run);
    const waiting = this.#arrivals.findIndex((arrival) => arrival.name === command.name);
    if (waiting !== -1) this.#arrivals.splice(waiting, 1)[0]?.resolve(command);
  }

  async #run(command: ReceivedCommand): Promise<void> {
    const handler = this.#handlers.get(command.name);
    if (handler === undefined) {
      command.fail(`The command ${command.name} has not been found`, 'CommandNotFound');
      return;
    }
    try {
      const value = await handler(command.args, command);
      if (value !== NO_REPLY) command.reply(value ?? {});
    } catch (error) {
      if (error instanceof FakeQmpFailure) command.fail(error.message, error.errorClass);
      else throw error;
    }
  }
}

/** One client. Writes pieces one per turn of the event loop, in order. */
class Connection {
  readonly socket: Socket;
  inBand = 0;
  queue: Promise<void> = Promise.resolve();
  readonly #split: ((bytes: Buffer) => readonly Buffer[]) | undefined;
  #writes: Promise<void> = Promise.resolve();

  constructor(
    socket: Socket,
    split: ((bytes: Buffer) => readonly Buffer[]) | undefined,
    onLine: (line: string) => void,
  ) {
    this.socket = socket;
    this.#split = split;
    let rest = '';
    socket.setNoDelay(true);
    // A client that leaves in the middle of something is what many tests are about.
    socket.on('error', () => undefined);
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') onLine(line);
    });
  }

  write(bytes: string | Buffer): void {
    const pieces = this.#split?.(Buffer.from(bytes)) ?? undefined;
    if (pieces === undefined) {
      this.#writeNow(bytes);
      return;
    }
    this.#writes = this.#writes.then(async () => {
      for (const piece of pieces) {
        this.#writeNow(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  }

  #writeNow(bytes: string | Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }
}

/** The greeting of QEMU 10.0.2. */
export function usualGreeting(capabilities: readonly string[] = ['oob']): string {
  const version = { qemu: { micro: 2, minor: 0, major: 10 }, package: 'fake' };
  return `${JSON.stringify({ QMP: { version, capabilities } })}\r\n`;
}

export function formatEvent(name: string, data?: QmpValue, timestampUs = 1_700_000_000_123_456): string {
  const timestamp = { seconds: Math.floor(timestampUs / 1e6), microseconds: timestampUs % 1e6 };
  return `${stringifyJsonLossless({ timestamp, event: name, data })}\r\n`;
}
