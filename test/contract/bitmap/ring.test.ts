// SPDX-License-Identifier: Apache-2.0
// The reader of a patched QEMU's ring against rings that a test writes: whole ones, torn ones, and nonsense.

import { ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { bitmapBytes, loadAddon, RingReader } from '../../../src/bitmap/index.ts';

const { addon, kernels } = loadAddon();
const addons = addon === null ? [null] : [addon, null];

const PAGES = [100, 3] as const;
const SLOTS = 2;
const SLOTS_OFFSET = 1024;
const SLOT_HEAD = 88 + 8 * PAGES.length;
const DIRTIED = [SLOT_HEAD, SLOT_HEAD + bitmapBytes(PAGES[0])];
const PENDING = DIRTIED.map((offset) => offset + PAGES.reduce((sum, pages) => sum + bitmapBytes(pages), 0));
const SLOT_BYTES = 1024;

interface WrittenRound {
  readonly sequence: number;
  readonly inMigration: boolean;
  readonly dirtied: readonly (readonly number[])[];
}

/** A ring with the blocks `ram` and `rom`. */
function ringOf(rounds: readonly WrittenRound[]): Buffer {
  const ring = Buffer.alloc(SLOTS_OFFSET + SLOTS * SLOT_BYTES);
  ring.write('SLKWRING', 'latin1');
  [1, 4096, SLOTS, PAGES.length].forEach((value, i) => ring.writeUInt32LE(value, 8 + 4 * i));
  const latest = Math.max(0, ...rounds.map(({ sequence }) => sequence));
  [SLOTS_OFFSET, SLOT_BYTES, latest].forEach((value, i) => ring.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
  ['ram', 'rom'].forEach((name, i) => {
    ring.write(name, 64 + 280 * i, 'utf8');
    [PAGES[i], DIRTIED[i], PENDING[i]].forEach((value, j) =>
      ring.writeBigUInt64LE(BigInt(value ?? 0), 64 + 280 * i + 256 + 8 * j),
    );
  });
  for (const { sequence, inMigration, dirtied } of rounds) {
    const slot = SLOTS_OFFSET + ((sequence - 1) % SLOTS) * SLOT_BYTES;
    ring.writeBigUInt64LE(BigInt(sequence), slot);
    ring.writeBigUInt64LE(7n, slot + 8);
    ring.writeUInt32LE(inMigration ? 3 : 2, slot + 16);
    [1_000_000n, 3_500_000n].forEach((ns, i) => ring.writeBigInt64LE(ns, slot + 24 + 8 * i));
    PAGES.forEach((pages, i) => ring.writeBigUInt64LE(BigInt(pages), slot + 88 + 8 * i));
    dirtied.forEach((pages, i) => {
      for (const page of pages) ring[slot + (DIRTIED[i] ?? 0) + (page >> 3)]! |= 1 << (page & 7);
    });
  }
  return ring;
}

function fileWith(t: Test, bytes: Uint8Array): string {
  const path = join(t.testdir(), 'ring');
  writeFileSync(path, bytes);
  return path;
}

t.test('a round is read with its pages, one that was overwritten is not', (t) => {
  const path = fileWith(
    t,
    ringOf([
      { sequence: 3, inMigration: true, dirtied: [[0, 64, 99], [2]] },
      { sequence: 2, inMigration: false, dirtied: [[5], []] },
    ]),
  );
  for (const each of addons) {
    const ring = RingReader.open(path, each);
    t.equal(ring.latestSequence(), 3);
    t.equal(ring.read(1), null, 'its slot holds round 3');
    t.equal(ring.read(4), null, 'not written yet');
    const round = ring.read(3);
    t.match(round, { sequence: 3, round: 7, inMigration: true, guestRunning: true, beginMs: 1, endMs: 3.5 });
    const counts = round?.blocks.map(({ dirtied, pageCount }) => kernels.count(dirtied, pageCount));
    t.same(counts, [3, 1]);
    t.equal(round?.blocks[0]?.name, 'ram');
    const before = ring.read(2);
    t.equal(before?.blocks[0]?.pending, null, 'nothing is pending before a migration');
    t.equal(before !== null && ring.holds(before), true);
    ring.close();
  }
  t.end();
});

t.test('a round that QEMU overwrites while it is worked on is known to be lost', (t) => {
  const path = fileWith(t, ringOf([{ sequence: 1, inMigration: true, dirtied: [[1], []] }]));
  for (const each of addons) {
    writeFileSync(path, ringOf([{ sequence: 1, inMigration: true, dirtied: [[1], []] }]));
    const ring = RingReader.open(path, each);
    const round = ring.read(1);
    if (round === null) throw new Error('wanted the round');
    writeFileSync(path, ringOf([{ sequence: 3, inMigration: true, dirtied: [[1, 2], []] }]), { flag: 'r+' });
    t.equal(ring.holds(round), false);
    ring.close();
  }
  t.end();
});

t.test('a file that is truncated under the reader gives an error, not a crash', (t) => {
  const whole = ringOf([{ sequence: 1, inMigration: true, dirtied: [[1], []] }]);
  for (const each of addons) {
    // More than a page of memory, so that what is cut off is gone from the mapping, too.
    const path = fileWith(t, Buffer.concat([whole, Buffer.alloc(100_000)]));
    const ring = RingReader.open(path, each);
    const round = ring.read(1);
    ftruncateSync(openSync(path, 'r+'), 0);
    if (each !== null) {
      t.throws(() => kernels.count(round?.blocks[0]?.dirtied ?? new Uint8Array(), 100), {
        message: /truncated/,
      });
    }
    t.throws(() => ring.read(1), { code: 'ERR_RING' });
    t.throws(() => ring.latestSequence(), { code: 'ERR_RING' });
    ring.close();
  }
  t.end();
});

t.test('whatever the bytes are, reading them is an answer or an error of ours', (t) => {
  const whole = ringOf([{ sequence: 2, inMigration: true, dirtied: [[1, 2, 3], [0]] }]);
  const path = fileWith(t, whole);
  const change = fc.tuple(
    fc.oneof(fc.nat(700), fc.nat(whole.length - 9)),
    fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 5000n })),
  );
  const cut = fc.option(fc.nat(whole.length), { nil: whole.length });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), cut, (changes, length) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes.writeBigUInt64LE(value, at);
      writeFileSync(path, bytes.subarray(0, length));
      for (const each of addons) {
        try {
          const ring = RingReader.open(path, each);
          try {
            for (const sequence of [ring.latestSequence(), 1, 2]) {
              for (const { dirtied, pageCount } of ring.read(sequence)?.blocks ?? []) {
                kernels.count(dirtied, pageCount);
              }
            }
          } finally {
            ring.close();
          }
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'ERR_RING') throw error;
        }
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});
