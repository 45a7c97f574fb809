// SPDX-License-Identifier: Apache-2.0
// A stretch of cold pages: which, and how many.

import t from 'tap';
import { chooseStretch } from '../../../src/bitmap/index.ts';

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
