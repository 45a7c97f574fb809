// SPDX-License-Identifier: Apache-2.0
// Rounds of a ring, folded: which pages are hot, which of a round were written in the one before.

import t from 'tap';
import { bitmapBytes, plainKernels, type RingRound } from '../../src/bitmap/index.ts';
import { heatClassOf } from '../../src/model/index.ts';
import { PageTracker, withUntaken } from '../../src/observe/index.ts';

const PAGES = 200;

function set(pages: readonly number[]): Uint8Array {
  const bits = new Uint8Array(bitmapBytes(PAGES));
  for (const page of pages) bits[page >> 3]! |= 1 << (page & 7);
  return bits;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

interface Sync {
  readonly lengthMs: number;
  readonly dirtied: readonly number[];
  readonly pending?: readonly number[];
}

/** Feeds syncs one after the other; what is read of them is whole unless said otherwise. */
function tracker() {
  const tracked = new PageTracker(plainKernels, 4096);
  let nowMs = 0;
  const feed = (sync: Sync, endsRound: boolean | null, isWhole = true) => {
    const beginMs = nowMs;
    nowMs += sync.lengthMs;
    const round = {
      beginMs,
      endMs: nowMs,
      syncMs: 0.5,
      inMigration: endsRound !== null,
      roundOver: endsRound === true,
      blocks: [
        {
          name: 'pc.ram',
          pageCount: PAGES,
          dirtied: set(sync.dirtied),
          pending: sync.pending === undefined ? null : set(sync.pending),
        },
      ],
    } as unknown as RingRound;
    const deferredPages = endsRound === null ? null : 0;
    return tracked.add(round, { deferredPages, endsRound }, () => isWhole);
  };
  return { tracked, feed };
}

t.test('heat rises with the share of windows in which a page is dirty, and falls again', (t) => {
  const { tracked, feed } = tracker();
  for (let window = 0; window < 20; window++) {
    // Page 0 in every window, page 1 in every second, page 2 in the first only.
    const dirtied = [0, ...(window % 2 === 0 ? [1] : []), ...(window === 0 ? [2] : [])];
    feed({ lengthMs: 200, dirtied }, null);
  }
  const [hot = 0, half = 0, once = 0, never = 0] = tracked.blocks[0]?.slowHeat ?? [];
  t.ok(hot > 230, `always: ${hot}`);
  t.ok(half > 80 && half < 170, `every second window: ${half}`);
  t.ok(once < 10, `once: ${once}`);
  t.equal(never, 0);
  t.end();
});

t.test('pages of a guest that is busy and quiet by turns of a second stay hot in its quiet seconds', (t) => {
  const { tracked, feed } = tracker();
  const heats: number[] = [];
  for (let window = 0; window < 40; window++) {
    feed({ lengthMs: 200, dirtied: window % 10 < 5 ? [0] : [] }, null);
    heats.push(tracked.blocks[0]?.slowHeat[0] ?? 0);
  }
  t.ok(Math.min(...heats) > 256 / 4, `at least a quarter of the windows: ${heats.join(' ')}`);
  // And one that has ended its work is cold some seconds later.
  for (let window = 0; window < 25; window++) feed({ lengthMs: 200, dirtied: [] }, null);
  t.ok((tracked.blocks[0]?.slowHeat[0] ?? 0) < 10);
  t.end();
});

t.test('sums are those of the sync, and each page is in one class of heat', (t) => {
  const { feed } = tracker();
  const summary = feed({ lengthMs: 200, dirtied: range(0, 64), pending: range(0, 100) }, false)!;
  t.match(summary, { intervalMs: 200, dirtiedPages: 64, pendingPages: 100, endsRound: false, round: null });
  t.equal(
    summary.pagesByHeat.reduce((sum, each) => sum + each, 0),
    PAGES,
  );
  t.equal(summary.pagesByHeat[heatClassOf(255)], 64, 'dirty in all that was seen, though that is not much');
  t.end();
});

t.test('a round is what was written between its ends, however often one looked meanwhile', (t) => {
  const { feed } = tracker();
  feed({ lengthMs: 20, dirtied: range(150, 200) }, null);
  t.equal(feed({ lengthMs: 200, dirtied: range(0, 40) }, false)!.round, null);
  const first = feed({ lengthMs: 200, dirtied: range(20, 100) }, true)!;
  t.same(first.round, { dirtiedPages: 100, persistentPages: null, similarity: null });
  t.equal(first.dirtiedPages, 80, 'beside what was written since the last look');
  const second = feed({ lengthMs: 100, dirtied: range(10, 110) }, true)!;
  t.same(second.round, { dirtiedPages: 100, persistentPages: 90, similarity: 90 / 110 });
  const third = feed({ lengthMs: 100, dirtied: [] }, true)!;
  t.same(third.round, { dirtiedPages: 0, persistentPages: 0, similarity: 0 });
  t.equal(feed({ lengthMs: 100, dirtied: [] }, true)!.round?.similarity, 1, 'nothing, twice');
  t.end();
});

t.test('a sync that was overwritten while it was read changes nothing', (t) => {
  const { feed } = tracker();
  feed({ lengthMs: 100, dirtied: [1, 2] }, true);
  t.equal(feed({ lengthMs: 100, dirtied: [3, 4, 5] }, true, false), null);
  t.match(feed({ lengthMs: 100, dirtied: [1, 2] }, true)!.round, { persistentPages: 2, similarity: 1 });
  t.end();
});

t.test('the end of a round that nobody has looked at is told with the next look, with its pages', (t) => {
  const { feed } = tracker();
  const ended = feed({ lengthMs: 100, dirtied: [1, 2, 3], pending: [1] }, true)!;
  const within = feed({ lengthMs: 100, dirtied: [4], pending: [1, 4] }, false)!;
  const told = withUntaken(ended, within);
  t.equal(told.endsRound, true);
  t.same(told.round, { dirtiedPages: 3, persistentPages: null, similarity: null });
  t.equal(told.pendingPages, 2, 'of everything else the newest counts');
  t.same(withUntaken(null, within), within);
  t.same(withUntaken(within, ended), ended);
  t.end();
});
