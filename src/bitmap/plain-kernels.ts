// SPDX-License-Identifier: Apache-2.0
// The kernels in plain JavaScript: what serves where the addon cannot, and the model that the addon is tested against.

import { type BitmapKernels, bitmapBytes, heatBytes } from './kernels.ts';

const POPCOUNT = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
});

type Combine = (a: number, b: number) => number;

function wantBytes(what: string, array: Uint8Array, bytes: number): void {
  if (array.length < bytes) throw new RangeError(`wanted ${bytes} bytes as ${what}, got ${array.length}`);
}

function countCombined(a: Uint8Array, b: Uint8Array, bits: number, combine: Combine): number {
  wantBytes('a', a, bitmapBytes(bits));
  wantBytes('b', b, bitmapBytes(bits));
  const whole = bits >>> 3;
  let count = 0;
  for (let i = 0; i < whole; i++) count += POPCOUNT[combine(a[i] ?? 0, b[i] ?? 0) & 0xff] ?? 0;
  const rest = combine(a[whole] ?? 0, b[whole] ?? 0) & ((1 << (bits & 7)) - 1);
  return count + (POPCOUNT[rest] ?? 0);
}

function hasBit(bitmap: Uint8Array, bit: number): boolean {
  return (((bitmap[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1;
}

function increment(counts: Uint32Array, at: number): void {
  counts[at] = (counts[at] ?? 0) + 1;
}

/** The first bit at or after `from` that is set, or unset; `bits` if there is none below. */
function nextBit(bitmap: Uint8Array, bits: number, from: number, wanted: boolean): number {
  const boring = wanted ? 0 : 0xff;
  for (let bit = from; bit < bits; bit++) {
    if ((bit & 7) === 0) while (bit < bits && bitmap[bit >>> 3] === boring) bit += 8;
    if (bit < bits && hasBit(bitmap, bit) === wanted) return bit;
  }
  return bits;
}

function* setBits(bitmap: Uint8Array, bits: number): Generator<number> {
  for (let bit = nextBit(bitmap, bits, 0, true); bit < bits; bit = nextBit(bitmap, bits, bit + 1, true)) {
    yield bit;
  }
}

export const plainKernels: BitmapKernels = {
  name: 'javascript',

  count: (a, bits) => countCombined(a, a, bits, (x) => x),
  countAnd: (a, b, bits) => countCombined(a, b, bits, (x, y) => x & y),
  countOr: (a, b, bits) => countCombined(a, b, bits, (x, y) => x | y),
  countAndNot: (a, b, bits) => countCombined(a, b, bits, (x, y) => x & ~y),

  merge(into, from, bits) {
    wantBytes('into', into, bitmapBytes(bits));
    wantBytes('from', from, bitmapBytes(bits));
    for (let i = 0; i < bitmapBytes(bits); i++) into[i] = (into[i] ?? 0) | (from[i] ?? 0);
  },

  countHeat(heat, bits, counts) {
    wantBytes('heat', heat, heatBytes(bits));
    if (counts.length < 256) throw new RangeError(`wanted 256 counts, got ${counts.length}`);
    for (let page = 0; page < bits; page++) increment(counts, heat[page] ?? 0);
  },

  hotter(heat, bits, least, out) {
    wantBytes('heat', heat, heatBytes(bits));
    wantBytes('out', out, bitmapBytes(bits));
    out.fill(0, 0, bitmapBytes(bits));
    for (let page = 0; page < bits; page++) {
      if ((heat[page] ?? 0) >= least) out[page >>> 3] = (out[page >>> 3] ?? 0) | (1 << (page & 7));
    }
  },

  heat(heat, dirty, bits, rise, decayShift) {
    wantBytes('heat', heat, heatBytes(bits));
    wantBytes('dirty', dirty, bitmapBytes(bits));
    // The last group as a whole: its pages beyond the end are not dirty, and stay cold.
    for (let page = 0; page < heatBytes(bits); page++) {
      const before = heat[page] ?? 0;
      const rises = page < bits && hasBit(dirty, page);
      heat[page] = Math.min(255, before - (before >> decayShift) + (rises ? rise : 0));
    }
  },

  extents(a, bits, from, out) {
    wantBytes('a', a, bitmapBytes(bits));
    const room = out.length >> 1;
    let found = 0;
    for (let first = nextBit(a, bits, from, true); first < bits && found < room; found++) {
      const end = nextBit(a, bits, first, false);
      out[2 * found] = first;
      out[2 * found + 1] = end - first;
      first = nextBit(a, bits, end, true);
    }
    return found;
  },

  order(heat, within, bits, out) {
    wantBytes('heat', heat, heatBytes(bits));
    wantBytes('within', within, bitmapBytes(bits));
    const next = new Uint32Array(256);
    for (const page of setBits(within, bits)) increment(next, heat[page] ?? 0);
    let begin = 0;
    for (let value = 255; value >= 0; value--) {
      const count = next[value] ?? 0;
      next[value] = begin;
      begin += count;
    }
    for (const page of setBits(within, bits)) {
      const value = heat[page] ?? 0;
      const at = next[value] ?? 0;
      next[value] = at + 1;
      if (at < out.length) out[at] = page;
    }
    return Math.min(begin, out.length);
  },

  reuse(lastRound, dirty, bits, round, histogram) {
    wantBytes('dirty', dirty, bitmapBytes(bits));
    if (lastRound.length < bits)
      throw new RangeError(`wanted an entry of lastRound for each of ${bits} pages`);
    if (histogram.length === 0) throw new RangeError('wanted a histogram with entries');
    for (const page of setBits(dirty, bits)) {
      const before = lastRound[page] ?? 0;
      const distance = before === 0 ? 0 : round - before;
      increment(histogram, Math.min(distance, histogram.length - 1));
      lastRound[page] = round;
    }
  },
};
