// SPDX-License-Identifier: Apache-2.0
// A share of the link that is told from outside bounds whatever a policy sets.

import t from 'tap';
import { BandwidthLimit, withinLimit } from '../../src/control/bandwidth-limit.ts';

t.test('no bandwidth beyond the limit, unlimited being the most', (t) => {
  const change = { maxBandwidthBytesPerSec: 0, maxPostcopyBandwidthBytesPerSec: 1e6, downtimeLimitMs: 300 };
  t.same(withinLimit(change, 5e7), { ...change, maxBandwidthBytesPerSec: 5e7 });
  t.same(withinLimit(change, 5e5), {
    ...change,
    maxBandwidthBytesPerSec: 5e5,
    maxPostcopyBandwidthBytesPerSec: 5e5,
  });
  t.equal(withinLimit(change, null), change);
  t.same(withinLimit({ downtimeLimitMs: 1 }, 5e7), { downtimeLimitMs: 1 }, 'what is not set is left alone');
  t.end();
});

t.test('whoever keeps it hears of changes, and of nothing else', (t) => {
  const limit = new BandwidthLimit(null);
  let heard = 0;
  limit.onChange(() => (heard += 1));
  limit.set(1e7);
  limit.set(1e7);
  t.equal(heard, 1);
  limit.onChange(null);
  limit.set(2e7);
  t.equal(heard, 1);
  t.equal(limit.bytesPerSec, 2e7);
  t.end();
});
