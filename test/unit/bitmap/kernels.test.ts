// SPDX-License-Identifier: Apache-2.0
// The kernels against sets of numbers, and the native ones against the plain ones.

import fc from 'fast-check';
import t from 'tap';
import {
  bitmapBytes,
  type BitmapKernels,
  heatBytes,
  loadAddon,
  plainKernels,
} from '../../../src/bitmap/index.ts';

const loaded = loadAddon((reason) => {
  t.comment(reason);
});
const native: readonly BitmapKernels[] =
  loaded.addon === null ? [] : [loaded.addon.best, loaded.addon.scalar];
const all: readonly BitmapKernels[] = [plainKernels, ...native];

t.test('the addon is there: this machine has a compiler', (t) => {
  t.not(loaded.addon, null);
  t.end();
});

interface Pages {
  readonly bits: number;
  readonly set: ReadonlySet<number>;
  readonly bitmap: Uint8Array;
}

/** Bits beyond the last page are noise: kernels have to ignore them. */
function bitmapOf(bits: number, pages: readonly number[], noise: number): Pages {
  const bitmap = new Uint8Array(bitmapBytes(bits));
  for (let bit = bits; bit < bitmap.length * 8; bit++)
    bitmap[bit >> 3]! |= ((noise >> (bit & 7)) & 1) << (bit & 7);
  for (const page of pages) bitmap[page >> 3]! |= 1 << (page & 7);
  return { bits, set: new Set(pages), bitmap };
}

const someBits = fc.integer({ min: 1, max: 1500 });
function pagesOf(bits: number): fc.Arbitrary<Pages> {
  const page = fc.integer({ min: 0, max: bits - 1 });
  const scattered = fc.array(page, { maxLength: 200 });
  const run = fc
    .tuple(page, fc.integer({ min: 1, max: 400 }))
    .map(([first, length]) => Array.from({ length: Math.min(length, bits - first) }, (_, i) => first + i));
  return fc
    .tuple(scattered, fc.array(run, { maxLength: 3 }), fc.integer({ min: 0, max: 255 }))
    .map(([single, runs, noise]) => bitmapOf(bits, [...single, ...runs.flat()], noise));
}
const onePage = someBits.chain(pagesOf);
const twoPages = someBits.chain((bits) => fc.tuple(pagesOf(bits), pagesOf(bits)));

t.test('counts are those of sets', (t) => {
  fc.assert(
    fc.property(twoPages, ([a, b]) => {
      const inBoth = [...a.set].filter((page) => b.set.has(page)).length;
      return all.every(
        (kernels) =>
          kernels.count(a.bitmap, a.bits) === a.set.size &&
          kernels.countAnd(a.bitmap, b.bitmap, a.bits) === inBoth &&
          kernels.countOr(a.bitmap, b.bitmap, a.bits) === a.set.size + b.set.size - inBoth &&
          kernels.countAndNot(a.bitmap, b.bitmap, a.bits) === a.set.size - inBoth,
      );
    }),
  );
  t.end();
});

t.test('a merge is the union; what it is added to is not a file', (t) => {
  fc.assert(
    fc.property(twoPages, ([a, b]) =>
      all.every((kernels) => {
        const into = Uint8Array.from(a.bitmap);
        kernels.merge(into, b.bitmap, a.bits);
        return (
          kernels.count(into, a.bits) === kernels.countOr(a.bitmap, b.bitmap, a.bits) &&
          kernels.countAndNot(b.bitmap, into, a.bits) === 0
        );
      }),
    ),
  );
  const file = loaded.addon?.mapFile(import.meta.filename, 64);
  if (file !== undefined) {
    t.throws(() => loaded.addon?.best.merge(file, new Uint8Array(8), 64), { message: /only to be read/ });
  }
  t.end();
});

t.test('heat is counted, and the hotter pages are found', (t) => {
  const withHeat = someBits.chain((bits) =>
    fc.tuple(
      fc.constant(bits),
      fc.uint8Array({ minLength: heatBytes(bits), maxLength: heatBytes(bits) }),
      fc.integer({ min: 0, max: 255 }),
    ),
  );
  fc.assert(
    fc.property(withHeat, ([bits, heat, least]) => {
      const counts = Array.from({ length: 256 }, () => 0);
      heat.subarray(0, bits).forEach((value) => (counts[value] = (counts[value] ?? 0) + 1));
      const hotPages = counts.slice(least).reduce((sum, each) => sum + each, 0);
      return all.every((kernels) => {
        const got = new Uint32Array(256);
        kernels.countHeat(heat, bits, got);
        const out = new Uint8Array(bitmapBytes(bits)).fill(255);
        kernels.hotter(heat, bits, least, out);
        const isRight = (page: number): boolean =>
          (((out[page >> 3] ?? 0) >> (page & 7)) & 1) === ((heat[page] ?? 0) >= least ? 1 : 0);
        const pages = Array.from({ length: bits }, (_, page) => page);
        return (
          [...got].join() === counts.join() && kernels.count(out, bits) === hotPages && pages.every(isRight)
        );
      });
    }),
  );
  t.end();
});

t.test('extents are the runs of a set, also when they are asked for a few at a time', (t) => {
  const isWhole = (kernels: BitmapKernels, { bits, set, bitmap }: Pages, room: number): boolean => {
    const out = new Uint32Array(2 * room);
    const pages: number[] = [];
    for (let from = 0; ;) {
      const found = kernels.extents(bitmap, bits, from, out);
      for (let i = 0; i < found; i++) {
        const [first = 0, length = 0] = [out[2 * i], out[2 * i + 1]];
        // A run ends where the set has a gap.
        if (set.has(first + length) || (first > 0 && set.has(first - 1) && first !== from)) return false;
        for (let page = first; page < first + length; page++) pages.push(page);
        from = first + length;
      }
      if (found < room) break;
    }
    return pages.join() === [...set].sort((a, b) => a - b).join();
  };
  fc.assert(
    fc.property(onePage, fc.integer({ min: 1, max: 5 }), (pages, room) =>
      all.every((kernels) => isWhole(kernels, pages, room)),
    ),
  );
  t.end();
});

t.test('heat rises where pages are dirty, decays elsewhere, and is the same for every CPU', (t) => {
  const step = fc.record({ rise: fc.integer({ min: 0, max: 255 }), shift: fc.integer({ min: 0, max: 8 }) });
  fc.assert(
    fc.property(twoPages, step, ([a, b], { rise, shift }) => {
      const expected = (page: number): number => {
        let heat = 0;
        for (const { set } of [a, b, a]) {
          heat = Math.min(255, heat - (heat >> shift) + (set.has(page) ? rise : 0));
        }
        return heat;
      };
      return all.every((kernels) => {
        const heat = new Uint8Array(heatBytes(a.bits));
        for (const { bitmap } of [a, b, a]) kernels.heat(heat, bitmap, a.bits, rise, shift);
        return heat.every((value, page) => value === (page < a.bits ? expected(page) : 0));
      });
    }),
  );
  t.end();
});

t.test('the hottest pages come first, equally hot ones by number', (t) => {
  const withHeat = onePage.chain((pages) =>
    fc.tuple(
      fc.constant(pages),
      fc.uint8Array({ minLength: heatBytes(pages.bits), maxLength: heatBytes(pages.bits) }),
      fc.integer({ min: 0, max: 300 }),
    ),
  );
  fc.assert(
    fc.property(withHeat, ([{ bits, set, bitmap }, heat, room]) => {
      const expected = [...set]
        .sort((x, y) => (heat[y] ?? 0) - (heat[x] ?? 0) || x - y)
        .slice(0, room)
        .join();
      return all.every((kernels) => {
        const out = new Uint32Array(room);
        const found = kernels.order(heat, bitmap, bits, out);
        return out.subarray(0, found).join() === expected;
      });
    }),
  );
  t.end();
});

t.test('reuse times are the distances between the rounds in which a page is dirty', (t) => {
  for (const kernels of all) {
    const dirtyIn = [[0, 1, 70], [0], [0, 70], [], [], [1, 70]];
    const lastRound = new Uint32Array(100);
    const histogram = new Uint32Array(4);
    dirtyIn.forEach((pages, i) => {
      kernels.reuse(lastRound, bitmapOf(100, pages, 0).bitmap, 100, i + 1, histogram);
    });
    // Page 0 after 1 and 1, page 70 after 2 and 3, page 1 after 5, which is "3 or more" here.
    t.same([...histogram], [3, 2, 1, 2], kernels.name);
  }
  t.end();
});

t.test('reuse times of any rounds are those of a map from pages to rounds', (t) => {
  const rounds = someBits.chain((bits) =>
    fc.tuple(fc.array(pagesOf(bits), { maxLength: 6 }), fc.integer({ min: 1, max: 8 })),
  );
  fc.assert(
    fc.property(rounds, ([dirty, classes]) => {
      const last = new Map<number, number>();
      const expected = new Array<number>(classes).fill(0);
      dirty.forEach(({ set }, i) => {
        for (const page of set) {
          const before = last.get(page);
          const distance = before === undefined ? 0 : i - before;
          expected[Math.min(distance, classes - 1)]! += 1;
          last.set(page, i);
        }
      });
      return all.every((kernels) => {
        const lastRound = new Uint32Array(1500);
        const histogram = new Uint32Array(classes);
        dirty.forEach(({ bitmap, bits }, i) => {
          kernels.reuse(lastRound, bitmap, bits, i + 1, histogram);
        });
        return histogram.join() === expected.join();
      });
    }),
  );
  t.end();
});

t.test('what does not fit is refused before it is read', (t) => {
  const small = new Uint8Array(8);
  const refused = { name: /Error/ };
  for (const kernels of all) {
    t.throws(() => kernels.count(small, 65), refused, kernels.name);
    t.throws(() => kernels.countAnd(new Uint8Array(16), small, 100), refused);
    t.throws(() => {
      kernels.heat(new Uint8Array(63), small, 10, 1, 1);
    }, refused);
    t.throws(() => kernels.order(new Uint8Array(64), small, 65, new Uint32Array(1)), refused);
    t.throws(() => {
      kernels.reuse(new Uint32Array(9), small, 10, 1, new Uint32Array(1));
    }, refused);
    t.throws(() => {
      kernels.reuse(new Uint32Array(10), small, 10, 1, new Uint32Array(0));
    }, refused);
  }
  for (const kernels of native) {
    const wrong = [-1, 1.5, Number.NaN, 2 ** 40, '8', undefined] as number[];
    for (const bits of wrong) t.throws(() => kernels.count(small, bits), refused, String(bits));
    t.throws(() => kernels.count(new Float64Array(8) as unknown as Uint8Array, 8));
    t.throws(() => kernels.count(new Uint8Array(new ArrayBuffer(17), 1), 8), { message: /aligned/ });
  }
  t.end();
});
