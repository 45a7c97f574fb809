// SPDX-License-Identifier: Apache-2.0
// Reads the file of all probes that the prober writes on request.

import { readFile } from 'node:fs/promises';
import { MeasureError } from '../errors.ts';

export interface Probe {
  readonly sentMonotonicMs: number;
  /** Absent: no answer. */
  readonly receivedMonotonicMs: number | undefined;
}

const HEADER_BYTES = 24;
const PROBE_BYTES = 16;

/** Decodes the file's content; the index is the probe's sequence number. @throws MeasureError */
export function decodeProbes(content: Buffer): Probe[] {
  const magic = content.toString('latin1', 0, 8);
  const count = content.length >= HEADER_BYTES ? Number(content.readBigUInt64LE(8)) : -1;
  if (magic !== 'SWPROBE1' || content.length !== HEADER_BYTES + count * PROBE_BYTES) {
    throw new MeasureError(`not a whole file of probes: ${content.length} bytes, magic "${magic}"`);
  }
  const timeMs = (at: number): number => Number(content.readBigInt64LE(at)) / 1e6;
  return Array.from({ length: count }, (_, i) => {
    const at = HEADER_BYTES + i * PROBE_BYTES;
    const receivedMs = timeMs(at + 8);
    return { sentMonotonicMs: timeMs(at), receivedMonotonicMs: receivedMs === 0 ? undefined : receivedMs };
  });
}

/** All probes of a run. @throws MeasureError */
export async function readProbes(path: string): Promise<Probe[]> {
  return decodeProbes(await readFile(path));
}
