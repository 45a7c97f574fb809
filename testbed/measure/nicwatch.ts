// SPDX-License-Identifier: Apache-2.0
// A NIC's use in even windows, as nicwatch counts it, in bytes on the wire.

import type { NicWindows } from '../../src/experiment/index.ts';
import { wireBytesOfFrames } from '../../src/tc/index.ts';
import { MeasureError } from '../errors.ts';
import type { LongLived } from '../process.ts';
import { collectOutput } from './collect-output.ts';

interface Document {
  readonly start_ns: number;
  readonly window_ns: number;
  readonly sent_bytes: readonly number[];
  readonly sent_packets: readonly number[];
  readonly received_bytes: readonly number[];
  readonly received_packets: readonly number[];
}

/** @throws MeasureError for what nicwatch never writes */
export function parseNicReport(text: string): NicWindows {
  let document: Document;
  try {
    document = JSON.parse(text) as Document;
  } catch (error) {
    throw new MeasureError(`nicwatch told no report: ${text.slice(-300)}`, { cause: error });
  }
  const wire = (bytes: readonly number[], packets: readonly number[]): number[] =>
    bytes.map((each, i) => Math.round(wireBytesOfFrames({ bytes: each, packets: packets[i] ?? 0 })));
  return {
    startMs: document.start_ns / 1e6,
    windowMs: document.window_ns / 1e6,
    sentBytes: wire(document.sent_bytes, document.sent_packets),
    receivedBytes: wire(document.received_bytes, document.received_packets),
  };
}

/** The arguments for a device and windows of so long. */
export function nicwatchArgs(device: string, windowMs = 100): string[] {
  return ['-d', device, '-w', `${windowMs}`];
}

export class RunningNicwatch {
  readonly #stop: () => Promise<string>;

  constructor(running: LongLived) {
    this.#stop = collectOutput(running, 'nicwatch');
  }

  /** Ends it; resolves with what it counted. @throws MeasureError */
  async stop(): Promise<NicWindows> {
    return parseNicReport(await this.#stop());
  }
}
