// SPDX-License-Identifier: Apache-2.0
// Runs the key-value load generator (native/host/kvload.c) where the guest's client is.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { AppFigures } from '../../src/experiment/index.ts';
import { MeasureError } from '../errors.ts';
import { type Argv, type LongLived, startLongLived } from '../process.ts';
import { appFigures, type KvloadRow, parseKvloadRow } from './kvload-rows.ts';

/** What is asked of the server. */
export interface KvloadSettings {
  readonly protocol: 'redis' | 'memcached';
  readonly port: number;
  /** Written once before the requests begin. */
  readonly records: number;
  readonly valueBytes: number;
  /** Kept up whether the server follows or not. */
  readonly requestsPerSec: number;
  /** Requests under way at a time, at most. */
  readonly connections: number;
  /** The rest are updates. */
  readonly readRatio: number;
  /** Exponent of the records' popularity, below 1; 0: all alike. */
  readonly zipf: number;
}

export interface KvloadOptions extends KvloadSettings {
  /** From `ensureNativeTools()`. */
  readonly kvloadPath: string;
  /** Network namespace of the client; absent: this one. */
  readonly netns?: string;
  /** Starts it, on whichever machine; absent: on this one. */
  readonly start?: typeof startLongLived;
  readonly serverIp: string;
  readonly seed?: number;
  /** Ends by itself after this; 3600 when absent. */
  readonly maxSec?: number;
  /** Aborting while it loads ends it and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RunningKvload {
  readonly pid: number;
  /** How long loading the records took. */
  readonly loadMs: number;
  /** Whether it has real-time priority. */
  readonly fifo: boolean;
  /** What is known so far, in order; a row comes when all its requests have their end. */
  readonly rows: readonly KvloadRow[];
  /** The figures between two moments, as far as they are known. */
  figures(fromMonotonicMs: number, toMonotonicMs: number): AppFigures | null;
  /** Ends it, once what is under way is answered; returns all rows. @throws MeasureError when it died before */
  stop(): Promise<readonly KvloadRow[]>;
}

const STOP_TIMEOUT_MS = 5000;
/** It gives up by itself where nothing moves for 20 s. */
const LOAD_TIMEOUT_MS = 300_000;

/** The program and its arguments. */
export function kvloadCommand(options: KvloadOptions): Argv {
  const args: Record<string, string | number | undefined> = {
    '-P': options.protocol,
    '-t': options.serverIp,
    '-p': options.port,
    '-r': options.requestsPerSec,
    '-k': options.records,
    '-c': options.connections,
    '-v': options.valueBytes,
    '-m': options.readRatio,
    '-z': options.zipf,
    '-s': options.seed,
    '-n': options.maxSec,
  };
  const words = Object.entries(args).flatMap(([name, value]) =>
    value === undefined ? [] : [name, String(value)],
  );
  return options.netns === undefined
    ? [options.kvloadPath, ...words]
    : ['ip', 'netns', 'exec', options.netns, options.kvloadPath, ...words];
}

class KvloadProcess implements RunningKvload {
  readonly rows: KvloadRow[] = [];
  loadMs = 0;
  fifo = false;
  readonly #process: LongLived;
  readonly #closed: Promise<unknown>;
  readonly #started: Promise<void>;
  #stderr = '';
  #broken: unknown;

  constructor(process: LongLived) {
    this.#process = process;
    const { child } = process;
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    if (child.stdout === null) throw new MeasureError('wanted the output of kvload, got none');
    const lines = createInterface({ input: child.stdout });
    // 'close' of the child may come before the last lines are out of the interface.
    this.#closed = Promise.all([once(child, 'close'), once(lines, 'close')]);
    this.#started = new Promise((resolve) => {
      lines.on('line', (line) => {
        if (this.#take(line)) resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Whether the line says that the requests begin. */
  #take(line: string): boolean {
    try {
      if (line.startsWith('{"atMonotonicMs"')) {
        this.rows.push(parseKvloadRow(line));
        return false;
      }
      const fields = JSON.parse(line) as { tookMs?: number; fifo?: boolean; started?: boolean };
      this.loadMs = fields.tookMs ?? this.loadMs;
      this.fifo = fields.fifo ?? this.fifo;
      return fields.started === true;
    } catch (error) {
      this.#broken ??= error;
      return false;
    }
  }

  #failed(what: string): MeasureError {
    const said = this.#stderr.trim().slice(-500);
    return new MeasureError(`kvload ${what}: ${said === '' ? '(it said nothing)' : said}`, {
      cause: this.#broken,
    });
  }

  async started(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), LOAD_TIMEOUT_MS);
    const aborted = AbortSignal.any([over.signal, ...(signal === undefined ? [] : [signal])]);
    const first = await Promise.race([
      this.#started.then(() => 'started'),
      this.#closed.then(() => 'ended'),
      once(aborted, 'abort').then(() => 'aborted'),
    ]);
    clearTimeout(timer);
    if (first === 'started') return;
    this.#process.kill('SIGKILL');
    await this.#closed;
    signal?.throwIfAborted();
    throw this.#failed(
      first === 'ended' ? 'could not load its records' : `had not loaded after ${LOAD_TIMEOUT_MS} ms`,
    );
  }

  figures(fromMonotonicMs: number, toMonotonicMs: number): AppFigures | null {
    return appFigures(this.rows, fromMonotonicMs, toMonotonicMs);
  }

  async stop(): Promise<readonly KvloadRow[]> {
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
    if (this.#process.child.exitCode !== 0 || this.#broken !== undefined) throw this.#failed('failed');
    return this.rows;
  }
}

/**
 * Starts the generator and returns once its records are loaded and its requests flow. The server must be listening.
 * @throws MeasureError when loading fails; nothing of it runs on. ProcessError
 */
export async function startKvload(options: KvloadOptions): Promise<RunningKvload> {
  options.signal?.throwIfAborted();
  const kvload = new KvloadProcess(
    await (options.start ?? startLongLived)(kvloadCommand(options), { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  await kvload.started(options.signal);
  return kvload;
}
