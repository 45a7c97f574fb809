// SPDX-License-Identifier: Apache-2.0
// Part of `npm run bench`: page sets of a guest of 1 TiB (two bitmaps of 32 MiB), by the native addon and in plain JavaScript,
// beside what this machine's memory gives a program that only reads it, measured in turn with them.

import { quantile } from 'simple-statistics';
import { type BitmapKernels, heatBytes, loadAddon, plainKernels } from '../src/bitmap/index.ts';
import { seededRandom } from '../src/report/index.ts';

const BITMAP_BYTES = 32 * 1024 * 1024;
const PAGES = BITMAP_BYTES * 8;
const REPEATS = 15;

export interface BitmapFigure {
  readonly name: string;
  readonly samples: number;
  readonly medianMs: number;
  /** Of the bitmaps, as they are read. */
  readonly bytesPerSec: number;
  /** bytesPerSec over the highest rate at which memory was read. */
  readonly ofMemoryRatio: number;
  /** What the process had more after all of its calls than before. */
  readonly grownBytes: number;
}

interface Subject {
  readonly name: string;
  readonly bytes: number;
  readonly work: () => unknown;
  readonly timesMs: number[];
}

function bitmap(seed: number, ratio: number): Uint8Array {
  const random = seededRandom(seed);
  const bytes = new Uint8Array(BITMAP_BYTES);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = random() < ratio ? Math.floor(random() * 256) : 0;
  }
  return bytes;
}

function kernelSubjects(kernels: BitmapKernels, a: Uint8Array, b: Uint8Array, heat: Uint8Array): Subject[] {
  const of = (name: string, bytes: number, work: () => unknown): Subject => ({
    name: `bitmap: ${name}, ${kernels.name}`,
    bytes,
    work,
    timesMs: [],
  });
  return [
    of('count', BITMAP_BYTES, () => kernels.count(a, PAGES)),
    of('count of both', 2 * BITMAP_BYTES, () => kernels.countAnd(a, b, PAGES)),
    of('count of either', 2 * BITMAP_BYTES, () => kernels.countOr(a, b, PAGES)),
    // A guest of 128 GiB: a byte a page.
    of('heat', heat.length, () => {
      kernels.heat(heat, a, heat.length, 64, 2);
    }),
  ];
}

/** What libc does with memory that it only reads: the ceiling. */
function ceilings(): Subject[] {
  const zeros = Buffer.alloc(BITMAP_BYTES);
  const same = Buffer.alloc(BITMAP_BYTES);
  // Backed by pages of their own, not by the one that is all zeros.
  zeros.fill(2);
  same.fill(2);
  return [
    { name: 'memory: memchr', bytes: BITMAP_BYTES, work: () => zeros.indexOf(1), timesMs: [] },
    { name: 'memory: memcmp', bytes: 2 * BITMAP_BYTES, work: () => zeros.equals(same), timesMs: [] },
  ];
}

/** All of them in turn, so that none has the machine's better minutes. */
export function benchBitmaps(): BitmapFigure[] {
  const [a, b] = [bitmap(1, 0.2), bitmap(2, 0.2)];
  const heat = new Uint8Array(heatBytes(BITMAP_BYTES));
  const { addon } = loadAddon((reason) => process.stderr.write(`${reason}\n`));
  const native = addon === null ? [] : [addon.best, addon.scalar];
  const memory = ceilings();
  const subjects = [
    ...memory,
    ...[...native, plainKernels].flatMap((kernels) => kernelSubjects(kernels, a, b, heat)),
  ];
  for (const { work } of subjects) work();
  const grown = new Map<Subject, number>();
  for (let i = 0; i < REPEATS; i++) {
    for (const subject of subjects) {
      const before = process.memoryUsage();
      const beganMs = performance.now();
      subject.work();
      subject.timesMs.push(performance.now() - beganMs);
      const after = process.memoryUsage();
      const more = after.arrayBuffers + after.external - before.arrayBuffers - before.external;
      grown.set(subject, (grown.get(subject) ?? 0) + more);
    }
  }
  const rateOf = ({ bytes, timesMs }: Subject): number => (bytes / quantile(timesMs, 0.5)) * 1000;
  const ceiling = Math.max(...memory.map(rateOf));
  return subjects.map((subject) => ({
    name: subject.name,
    samples: REPEATS,
    medianMs: quantile(subject.timesMs, 0.5),
    bytesPerSec: rateOf(subject),
    ofMemoryRatio: rateOf(subject) / ceiling,
    grownBytes: grown.get(subject) ?? 0,
  }));
}
