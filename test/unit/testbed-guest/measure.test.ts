// SPDX-License-Identifier: Apache-2.0
import { test } from 'tap';
import { decodeProbes, parseNonzeroPages, parseProberReport } from '../../../testbed/measure/index.ts';
import { proberCommand } from '../../../testbed/measure/prober.ts';

const summary = {
  sent: 4,
  answered: 3,
  sendErrors: 0,
  fifo: true,
  intervalMs: 1,
  medianReplyMs: 0.4,
  ownGapMs: 0.1,
  runDisturbed: false,
  startedMonotonicMs: 10,
  stoppedMonotonicMs: 14,
  firstAnswerMonotonicMs: 10.4,
  realtimeOffsetMs: 1e12,
  realtimeStepMs: 0,
  silences: [
    {
      silenceMs: 2,
      atLeastMs: 1.9,
      startMonotonicMs: 11,
      endMonotonicMs: 13.4,
      startRealtimeMs: 1e12 + 11,
      endRealtimeMs: 1e12 + 13.4,
      ownGapMs: 0.1,
      disturbed: false,
      lostProbes: 1,
      open: false,
    },
  ],
  work: [{ sequence: 0, guestMs: 5000, units: 120, receivedMonotonicMs: 12 }],
};

test('the report is the last line of the prober', (t) => {
  const report = parseProberReport(`{"started":true,"fifo":true}\n${JSON.stringify(summary)}\n`);
  t.strictSame(report, summary);
  t.end();
});

test('a guest that never answered has no first answer', (t) => {
  const report = parseProberReport(
    JSON.stringify({ ...summary, firstAnswerMonotonicMs: null, silences: [] }),
  );
  t.equal(report.firstAnswerMonotonicMs, undefined);
  t.end();
});

test('a report that is cut or incomplete is refused', (t) => {
  t.throws(() => parseProberReport(''), { code: 'ERR_TESTBED_MEASURE' });
  t.throws(() => parseProberReport('{"sent":4'), { message: /without a report/ });
  t.throws(() => parseProberReport('{"started":true,"fifo":true}'), { message: /a number sent/ });
  t.throws(() => parseProberReport(JSON.stringify({ ...summary, silences: [{ silenceMs: '2' }] })), {
    message: /a number silenceMs/,
  });
  t.end();
});

test('the prober runs inside the namespace, with only the options that are given', (t) => {
  t.same(proberCommand({ proberPath: '/p', netns: 'client', guestIp: '10.0.0.10', intervalUs: 2000 }), [
    ...['ip', 'netns', 'exec', 'client', '/p', '-t', '10.0.0.10', '-i', '2000'],
  ]);
  t.end();
});

test('a file of probes is decoded, a cut one refused', (t) => {
  const content = Buffer.alloc(24 + 2 * 16);
  content.write('SWPROBE1', 'latin1');
  content.writeBigUInt64LE(2n, 8);
  content.writeBigInt64LE(1_000_000n, 24);
  content.writeBigInt64LE(1_500_000n, 32);
  content.writeBigInt64LE(2_000_000n, 40);
  t.same(decodeProbes(content), [
    { sentMonotonicMs: 1, receivedMonotonicMs: 1.5 },
    { sentMonotonicMs: 2, receivedMonotonicMs: undefined },
  ]);
  t.throws(() => decodeProbes(content.subarray(0, 50)), { code: 'ERR_TESTBED_MEASURE' });
  t.throws(() => decodeProbes(Buffer.from('no')), { code: 'ERR_TESTBED_MEASURE' });
  t.end();
});

test('the count of nonzero pages is read', (t) => {
  const text = '{"pagesTotal":4,"pagesPresent":3,"pagesNonzero":2,"tookMs":0.1}\n';
  t.same(parseNonzeroPages(text), { pagesTotal: 4, pagesPresent: 3, pagesNonzero: 2, tookMs: 0.1 });
  t.throws(() => parseNonzeroPages('{}'), { code: 'ERR_TESTBED_MEASURE' });
  t.end();
});
