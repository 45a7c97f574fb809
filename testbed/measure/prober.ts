// SPDX-License-Identifier: Apache-2.0
// Runs the prober where the guest's client is.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeasureError } from '../errors.ts';
import { type Argv, type LongLived, startLongLived } from '../process.ts';
import type { ProberReport } from './prober-report.ts';
import { parseProberReport } from './prober-report.ts';

export interface ProberOptions {
  /** From `ensureNativeTools()`. */
  readonly proberPath: string;
  /** Network namespace of the client; absent: this one. */
  readonly netns?: string;
  /** Starts it, on whichever machine; absent: on this one. */
  readonly start?: typeof startLongLived;
  readonly guestIp: string;
  readonly intervalUs?: number;
  /** An own delay beyond this marks a silence as disturbed; 5 when absent. */
  readonly disturbedOverMs?: number;
  readonly workPort?: number;
  /** Ends by itself after this; 3600 when absent. */
  readonly maxSec?: number;
  /** Where every probe's times are written, for `readProbes`. */
  readonly probesPath?: string;
}

export interface RunningProber {
  readonly pid: number;
  /** Returns once the guest has answered for the first time. @throws MeasureError when it does not */
  answered(): Promise<void>;
  /** Ends the prober and returns its report. @throws MeasureError when it died before. */
  stop(): Promise<ProberReport>;
}

const START_TIMEOUT_MS = 5000;
// An emulated guest that has to share its CPU has answered nothing for ten seconds.
const ANSWER_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** The program and its arguments. */
export function proberCommand(options: ProberOptions): Argv {
  const numbers: readonly (readonly [string, number | string | undefined])[] = [
    ['-t', options.guestIp],
    ['-i', options.intervalUs],
    ['-g', options.disturbedOverMs],
    ['-w', options.workPort],
    ['-n', options.maxSec],
    ['-o', options.probesPath],
  ];
  const args = numbers.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
  return options.netns === undefined
    ? [options.proberPath, ...args]
    : ['ip', 'netns', 'exec', options.netns, options.proberPath, ...args];
}

class ProberProcess implements RunningProber {
  readonly pid: number;
  readonly #process: LongLived;
  readonly #closed: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  constructor(process: LongLived) {
    this.#process = process;
    this.pid = process.pid;
    const { child } = process;
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => (this.#stdout += piece));
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    this.#closed = once(child, 'close');
  }

  #hasEnded(): boolean {
    return this.#process.child.exitCode !== null || this.#process.child.signalCode !== null;
  }

  #failed(what: string): MeasureError {
    return new MeasureError(`the prober ${what}: ${this.#stderr.trim().slice(-500)}`);
  }

  /** Whether it says so in time. @throws MeasureError when it ends before */
  async #says(what: string, withinMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (!this.#stdout.includes(what)) {
      if (this.#hasEnded()) {
        await this.#closed;
        throw this.#failed('ended');
      }
      if (performance.now() > deadlineMs) return false;
      await sleep(5);
    }
    return true;
  }

  async started(): Promise<void> {
    if (await this.#says('"started":true', START_TIMEOUT_MS)) return;
    this.#process.kill('SIGKILL');
    throw this.#failed(`did not start within ${START_TIMEOUT_MS} ms`);
  }

  async answered(): Promise<void> {
    if (await this.#says('"answering":true', ANSWER_TIMEOUT_MS)) return;
    throw new MeasureError(
      `wanted an answer of the guest to its client, got none in ${ANSWER_TIMEOUT_MS} ms`,
    );
  }

  async stop(): Promise<ProberReport> {
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
    if (this.#process.child.exitCode !== 0) throw this.#failed('failed');
    return parseProberReport(this.#stdout);
  }
}

/**
 * Starts the prober and returns once it sends. Start it when the guest is ready: a thousand probes a second take a third of an
 * emulated CPU and make booting two to three times slower. @throws MeasureError, ProcessError
 */
export async function startProber(options: ProberOptions): Promise<RunningProber> {
  const prober = new ProberProcess(
    await (options.start ?? startLongLived)(proberCommand(options), { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  await prober.started();
  return prober;
}
