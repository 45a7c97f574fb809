// SPDX-License-Identifier: Apache-2.0
// Constant-rate UDP between two members of a testbed: what is offered, and what of it arrives, in even windows.

import { once } from 'node:events';
import { MeasureError } from '../errors.ts';
import type { LongLived } from '../process.ts';

/** What udpload counted, all on the wire. */
export interface UdploadReport {
  /** CLOCK_MONOTONIC of the first window's begin, in ms. */
  readonly startMs: number;
  readonly windowMs: number;
  /** Of each window. */
  readonly bytes: readonly number[];
  readonly packets: number;
}

/** @throws MeasureError for what udpload never writes */
export function parseUdploadReport(text: string): UdploadReport {
  try {
    const document = JSON.parse(text) as {
      readonly start_ns: number;
      readonly window_ns: number;
      readonly packets: number;
      readonly bytes: readonly number[];
    };
    return {
      startMs: document.start_ns / 1e6,
      windowMs: document.window_ns / 1e6,
      bytes: document.bytes,
      packets: document.packets,
    };
  } catch (error) {
    throw new MeasureError(`udpload told no report: ${text.slice(-300)}`, { cause: error });
  }
}

/** A rate that steps: from each moment on, in ms since the start. */
export interface RateStep {
  readonly fromMs: number;
  readonly bytesPerSec: number;
}

/** The arguments of a sender. */
export function senderArgs(ip: string, port: number, steps: readonly RateStep[]): string[] {
  const rates = steps.map(({ fromMs, bytesPerSec }) => `${Math.round(fromMs)}:${Math.round(bytesPerSec)}`);
  return ['send', '-t', ip, '-p', `${port}`, '-r', rates.join(',')];
}

/** The arguments of a receiver with windows of so long. */
export function receiverArgs(port: number, windowMs = 100): string[] {
  return ['receive', '-p', `${port}`, '-w', `${windowMs}`];
}

/** A running udpload, of either kind. */
export class RunningUdpload {
  readonly #process: LongLived;
  readonly #closed: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  constructor(running: LongLived) {
    this.#process = running;
    const { child } = running;
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => (this.#stdout += piece));
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.#stderr += piece));
    this.#closed = once(child, 'close');
  }

  /** Ends it; resolves with what it counted. @throws MeasureError */
  async stop(): Promise<UdploadReport> {
    this.#process.child.kill('SIGTERM');
    await this.#closed;
    const [first = '', second = ''] = this.#stdout.split('\n');
    if (first !== 'running' || second === '') {
      throw new MeasureError(`udpload ended early: ${this.#stderr.trim() || this.#stdout}`);
    }
    return parseUdploadReport(second);
  }
}
