// SPDX-License-Identifier: Apache-2.0
// Hot pages in their order; a stretch of cold ones: which, and how many.

import t from 'tap';
import { choosePages, chooseStretch, heatBytes, plainKernels } from '../../../src/bitmap/index.ts';

t.test('the hottest pages come first, of whichever block they are', (t) => {
  const block = (pages: readonly number[]) => {
    const heat = new Uint8Array(heatBytes(pages.length));
    heat.set(pages);
    return { pageCount: pages.length, heat };
  };
  const chosen = choosePages(plainKernels, [block([9, 200, 200]), block([0, 0]), block([255, 8, 200])], 9);
  t.same(chosen, [
    { block: 2, firstPage: 0, pageCount: 1 },
    { block: 0, firstPage: 1, pageCount: 2 },
    { block: 2, firstPage: 2, pageCount: 1 },
    { block: 0, firstPage: 0, pageCount: 1 },
  ]);
  t.same(choosePages(plainKernels, [block([1, 7, 7])], 2), [{ block: 0, firstPage: 1, pageCount: 2 }]);
  t.same(
    choosePages(plainKernels, [block([0]), block([0])], 0),
    [],
    'what was never seen written is not hot',
  );
  const scattered = block(Array.from({ length: 300_000 }, (_, page) => (page % 2 === 0 ? 7 : 0)));
  t.equal(choosePages(plainKernels, [scattered, scattered], 1).length, 300_000, 'however many');
  t.end();
});

t.test('a stretch lies before the end of the largest block', (t) => {
  t.same(chooseStretch([16, 3200, 64], 100), [{ block: 1, firstPage: 3000, pageCount: 100 }]);
  t.same(
    chooseStretch([16, 3200], 1e9),
    [{ block: 1, firstPage: 0, pageCount: 3100 }],
    'no more than there is',
  );
  t.same(chooseStretch([16, 3200], 0), []);
  t.same(chooseStretch([], 100), [], 'nothing was seen yet');
  t.end();
});
