// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { test } from 'tap';
import type { SegmentPattern, WritePattern } from '../../../src/experiment/index.ts';
import { formatPattern, parsePattern } from '../../../testbed/guest/index.ts';

const MIB = 1024 * 1024;

test('a pattern is written as the text that the guest reads', (t) => {
  const steady: SegmentPattern = { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB };
  t.equal(formatPattern(steady), 'steady:set=64M,rate=200M');
  t.equal(
    formatPattern({ ...steady, kind: 'steady', order: 'random', offsetBytes: 8192, touchBytes: 8 }),
    'steady:set=64M,rate=200M,offset=8K,touch=8,order=random',
  );
  t.equal(
    formatPattern({
      kind: 'phases',
      phases: [
        { pattern: steady, forMs: 2000 },
        { pattern: { kind: 'idle' }, forMs: 500 },
      ],
    }),
    'phases:steady:set=64M,rate=200M,for=2000ms/idle:for=500ms',
  );
  t.equal(formatPattern({ kind: 'idle' }), 'idle');
  t.end();
});

test('people may write durations in seconds and sizes in fractions', (t) => {
  t.same(parsePattern('burst:set=1.5M,rate=100M,on=0.5s,off=2s'), {
    kind: 'burst',
    setBytes: 1.5 * MIB,
    rateBytesPerSec: 100 * MIB,
    onMs: 500,
    offMs: 2000,
  });
  t.same(parsePattern('readmostly:set=8M,rate=10M'), {
    kind: 'readmostly',
    setBytes: 8 * MIB,
    rateBytesPerSec: 10 * MIB,
    writesRatio: 0.1,
  });
  t.end();
});

test('what is wrong with a pattern is said by name', (t) => {
  t.throws(() => parsePattern('steady:set=64M'), { message: /wanted rate=64M, got nothing/ });
  t.throws(() => parsePattern('steady:set=64M,rate=1M,step=4K'), { message: /cannot read "step=4K"/ });
  t.throws(() => parsePattern('stride:set=64M'), { message: /unknown kind "stride"/, remedy: /steady/ });
  t.throws(() => parsePattern('zipf:set=1M,rate=1M,exponent=9'), { message: /exponent in \(0, 4\]/ });
  t.throws(() => parsePattern('phases:burst:set=1M,rate=1M,on=1s,off=1s,for=1s'), {
    message: /a phase cannot be burst/,
  });
  t.throws(() => parsePattern('phases:idle'), { message: /wanted for=500ms/ });
  t.throws(() => formatPattern({ kind: 'steady', setBytes: 100, rateBytesPerSec: MIB }), {
    message: /whole pages, got 100/,
  });
  t.end();
});

test('every pattern comes back from its text as it was', (t) => {
  const pages = fc.integer({ min: 1, max: 100_000 }).map((count) => count * 4096);
  const window = {
    setBytes: pages,
    rateBytesPerSec: fc.integer({ min: 4096, max: 2 ** 33 }),
    offsetBytes: pages,
  };
  const order = { order: fc.constant('random' as const) };
  const segment: fc.Arbitrary<SegmentPattern> = fc.oneof(
    fc.constant<SegmentPattern>({ kind: 'idle' }),
    fc.record({ kind: fc.constant('steady' as const), ...window, ...order }),
    fc.record({ kind: fc.constant('drift' as const), ...window, ...order, stepBytes: pages }),
    fc.record({ kind: fc.constant('zipf' as const), ...window, exponent: fc.constantFrom(0.5, 1, 1.25) }),
    fc.record({ kind: fc.constant('readmostly' as const), ...window, writesRatio: fc.constantFrom(0.05, 1) }),
  );
  const durationMs = fc.integer({ min: 1, max: 100_000 });
  const pattern: fc.Arbitrary<WritePattern> = fc.oneof(
    segment,
    fc.record({ kind: fc.constant('burst' as const), ...window, onMs: durationMs, offMs: durationMs }),
    fc.record({
      kind: fc.constant('phases' as const),
      phases: fc.array(fc.record({ pattern: segment, forMs: durationMs }), { minLength: 1, maxLength: 4 }),
    }),
  );
  fc.assert(
    fc.property(pattern, (value) => {
      t.same(parsePattern(formatPattern(value)), value);
    }),
    { numRuns: 200 },
  );
  t.end();
});
