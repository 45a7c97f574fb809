// SPDX-License-Identifier: Apache-2.0
// Constant-rate UDP between two members of a testbed: what is offered, and what of it arrives, in even windows.

import type { FlowWindows, RateStep } from '../../src/experiment/index.ts';
import { MeasureError } from '../errors.ts';
import type { LongLived } from '../process.ts';
import { collectOutput } from './collect-output.ts';

/** @throws MeasureError for what udpload never writes */
export function parseUdploadReport(text: string): FlowWindows {
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

/** The arguments of a sender. */
export function senderArgs(ip: string, port: number, steps: readonly RateStep[]): string[] {
  const rates = steps.map(({ fromMs, bytesPerSec }) => `${Math.round(fromMs)}:${Math.round(bytesPerSec)}`);
  return ['send', '-t', ip, '-p', `${port}`, '-r', rates.join(',')];
}

/** The arguments of a receiver with windows of so long. */
export function receiverArgs(port: number, windowMs = 100): string[] {
  return ['receive', '-p', `${port}`, '-w', `${windowMs}`];
}

/** The arguments of a service that answers each datagram with itself. */
export function echoArgs(port: number): string[] {
  return ['echo', '-p', `${port}`];
}

/** A running udpload, of any kind. */
export class RunningUdpload {
  readonly #stop: () => Promise<string>;

  constructor(running: LongLived) {
    this.#stop = collectOutput(running, 'udpload');
  }

  /** Ends it; resolves with what it counted. @throws MeasureError */
  async stop(): Promise<FlowWindows> {
    return parseUdploadReport(await this.#stop());
  }
}
