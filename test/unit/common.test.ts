// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import {
  formatBytes,
  formatMs,
  formatRate,
  inLoginTurn,
  parseDurationMs,
  parseRateBytesPerSec,
  parseSizeBytes,
  UsageError,
} from '../../src/common/index.ts';

t.test('durations, rates and sizes are read in the units that people write', (t) => {
  t.equal(parseDurationMs('300ms'), 300);
  t.equal(parseDurationMs('1.5s'), 1500);
  t.equal(parseDurationMs('2m'), 120_000);
  t.equal(parseRateBytesPerSec('1gbit'), 125e6);
  t.equal(parseRateBytesPerSec('100Mbit'), 12.5e6);
  t.equal(parseRateBytesPerSec('64MiB/s'), 64 * 1024 * 1024);
  t.equal(parseSizeBytes('512M'), 512 * 1024 * 1024);
  t.equal(parseSizeBytes('1GB'), 1e9);
  t.end();
});

t.test('a quantity without a known unit is refused with an example, never guessed', (t) => {
  for (const text of ['300', '', '-5ms', '1gbps', '10 parsecs', 'NaNs', '1e3ms']) {
    t.throws(() => parseDurationMs(text), UsageError, text);
    t.throws(() => parseRateBytesPerSec(text), UsageError, text);
  }
  try {
    parseDurationMs('300');
  } catch (error) {
    t.match((error as UsageError).message, /300ms or 60s, got "300"/);
    t.match((error as UsageError).remedy, /ms, s/);
  }
  t.end();
});

t.test('formatted figures read back within their rounding', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (bytes) => {
      const back = parseSizeBytes(formatBytes(bytes));
      return Math.abs(back - bytes) <= Math.max(1, bytes * 0.06);
    }),
  );
  t.equal(formatMs(999), '999 ms');
  t.equal(formatMs(4520), '4.52 s');
  t.equal(formatRate(117.7e6), '117.7 MB/s');
  t.end();
});

t.test('who waits for a login is let in by turns, and can give up', async (t) => {
  const ends: (() => void)[] = [];
  let begun = 0;
  const login = (signal?: AbortSignal, host = 'a') =>
    inLoginTurn(
      host,
      () =>
        new Promise<void>((resolve) => {
          begun += 1;
          ends.push(resolve);
        }),
      signal,
    );
  const all = [login(), login(), login(), login()];
  const giving = new AbortController();
  const givenUp = login(giving.signal);
  all.push(login(), login(undefined, 'b'));
  await new Promise(setImmediate);
  t.equal(begun, 5, 'four at one host, and one at another');
  giving.abort(new Error('enough'));
  await t.rejects(givenUp, { message: 'enough' });
  while (begun < 6) {
    ends.shift()?.();
    await new Promise(setImmediate);
  }
  for (const end of ends) end();
  await Promise.all(all);
  t.equal(begun, 6);
});
