// SPDX-License-Identifier: Apache-2.0
// Reading and writing quantities with units: durations (ms), rates (bytes/s), sizes (bytes).

import { UsageError } from './errors.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
};

// Bits in powers of 1000 (as links are sold), bytes in either, per second.
const RATE_BYTES_PER_SEC: Readonly<Record<string, number>> = {
  bit: 1 / 8,
  kbit: 1e3 / 8,
  mbit: 1e6 / 8,
  gbit: 1e9 / 8,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: KIB,
  mib: MIB,
  gib: GIB,
};

const SIZE_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  k: KIB,
  kib: KIB,
  m: MIB,
  mib: MIB,
  g: GIB,
  gib: GIB,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
};

function parseQuantity(
  text: string,
  unitTable: Readonly<Record<string, number>>,
  what: string,
  example: string,
): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)(?:\/s)?\s*$/i.exec(text);
  const factor = match?.[2] === undefined ? undefined : unitTable[match[2].toLowerCase()];
  if (match === null || factor === undefined) {
    throw new UsageError(`expected ${what} such as ${example}, got "${text}"`, {
      remedy: `units: ${Object.keys(unitTable).join(', ')}`,
    });
  }
  return Number(match[1]) * factor;
}

/** Milliseconds from "300ms", "1.5s", "2m", "1h". @throws UsageError */
export function parseDurationMs(text: string): number {
  return parseQuantity(text, DURATION_MS, 'a duration', '300ms or 60s');
}

/** Bytes per second from "1gbit", "100mbit", "125MB/s", "64MiB/s". Bits count in thousands. @throws UsageError */
export function parseRateBytesPerSec(text: string): number {
  return parseQuantity(text, RATE_BYTES_PER_SEC, 'a rate', '1gbit or 64MiB/s');
}

/** Bytes from "512MiB", "64M" (powers of 1024), "1GB" (thousands). @throws UsageError */
export function parseSizeBytes(text: string): number {
  return parseQuantity(text, SIZE_BYTES, 'a size', '512MiB');
}

/** "64.0 MiB", "3.2 GiB": at most four digits, for people. */
export function formatBytes(bytes: number): string {
  if (bytes >= GIB) return `${(bytes / GIB).toFixed(2)} GiB`;
  if (bytes >= MIB) return `${(bytes / MIB).toFixed(1)} MiB`;
  if (bytes >= KIB) return `${(bytes / KIB).toFixed(0)} KiB`;
  return `${bytes.toFixed(0)} B`;
}

/** "112.3 MB/s": decimal bytes per second, as QEMU and links count. */
export function formatRate(bytesPerSec: number): string {
  if (bytesPerSec >= 1e9) return `${(bytesPerSec / 1e9).toFixed(2)} GB/s`;
  if (bytesPerSec >= 1e6) return `${(bytesPerSec / 1e6).toFixed(1)} MB/s`;
  return `${(bytesPerSec / 1e3).toFixed(0)} kB/s`;
}

/** "340 ms", "4.52 s", "2.1 min". */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(2)} s`;
  return `${(ms / 60_000).toFixed(1)} min`;
}
