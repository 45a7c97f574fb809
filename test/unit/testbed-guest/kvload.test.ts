// SPDX-License-Identifier: Apache-2.0
// The key-value load generator: how its rows become figures, and the program itself against a server that errs.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { nativeDir } from '../../../testbed/image/build-cache.ts';
import {
  appFigures,
  type KvloadRow,
  mergeHistograms,
  parseKvloadRow,
  quantileMs,
  startKvload,
} from '../../../testbed/measure/index.ts';

function row(atMonotonicMs: number, histogram: KvloadRow['histogram'], errors = 0): KvloadRow {
  const count = histogram.reduce((sum, [, n]) => sum + n, 0);
  return {
    atMonotonicMs,
    completed: count,
    count,
    errors,
    wrong: 0,
    unanswered: 0,
    p50Ms: 0,
    p99Ms: 0,
    maxMs: 0,
    ownDelayMs: 0,
    histogram,
  };
}

/** As native/host/kvload-rows.c puts a latency into a bucket. */
function bucketOf(us: number): number {
  if (us < 32) return us;
  const exponent = Math.floor(Math.log2(us));
  return (exponent - 4) * 32 + (Math.floor(us / 2 ** (exponent - 5)) % 32);
}

test('quantiles of merged histograms are those of all latencies together, to 3 %', (t) => {
  const latencies = fc.array(fc.integer({ min: 1, max: 60_000_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(
      fc.array(latencies, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(0.5, 0.99),
      (parts, ratio) => {
        const merged = mergeHistograms(parts.map((part) => part.map((us) => [bucketOf(us), 1] as const)));
        const sorted = parts.flat().sort((a, b) => a - b);
        const exactMs = sorted[Math.max(1, Math.ceil(ratio * sorted.length)) - 1]! / 1000;
        const gotMs = quantileMs(merged, ratio) ?? NaN;
        return Math.abs(gotMs - exactMs) <= Math.max(0.001, exactMs * 0.03);
      },
    ),
  );
  t.equal(quantileMs([], 0.5), null);
  t.end();
});

test('the figures of a stretch are those of the rows whose middle is within', (t) => {
  const rows = [
    row(0, [[10, 40]]),
    row(100, [[10, 40]], 2),
    row(
      200,
      [
        [10, 1],
        [700, 39],
      ],
      3,
    ),
    row(300, [[10, 40]]),
  ];
  t.same(appFigures(rows, 0, 200), { requestsPerSec: 400, p50Ms: 0.0105, p99Ms: 0.0105, errors: 2 });
  const during = appFigures(rows, 120, 280);
  t.match(during, { requestsPerSec: 400, errors: 5 });
  t.ok(during!.p99Ms > 1000 && during!.p50Ms < 1, JSON.stringify(during));
  t.equal(appFigures(rows, 1000, 2000), null, 'no row, no figures');
  t.equal(appFigures([row(0, [], 5)], 0, 100), null, 'no answer, no latency');
  t.throws(() => parseKvloadRow('{"atMonotonicMs":1'), { code: 'ERR_TESTBED_MEASURE' });
  t.throws(() => parseKvloadRow('{"atMonotonicMs":1}'), { message: /a list histogram/ });
  t.end();
});

const hasCompiler =
  spawnSync('gcc', ['--version']).status === 0 && spawnSync('make', ['--version']).status === 0;
const skip = hasCompiler ? false : 'needs gcc and make';

/** Enough of redis: GET and SET. `damage` may change what a GET returns. */
async function fakeRedis(t: Test, damage: (stored: string, gets: number) => string): Promise<number> {
  const store = new Map<string, string>();
  let gets = 0;
  const server: Server = createServer((socket) => {
    let rest = '';
    socket.setEncoding('latin1').on('data', (piece) => {
      rest += String(piece);
      for (
        let match;
        (match = /^\*\d\r\n\$3\r\n(GET|SET)\r\n\$11\r\n(k\d{10})\r\n(?:\$(\d+)\r\n)?/.exec(rest)) !== null;
      ) {
        const [head, command, key = '', size = '0'] = match;
        const whole = head.length + (command === 'SET' ? Number(size) + 2 : 0);
        if (rest.length < whole) return;
        const value = rest.slice(head.length, head.length + Number(size));
        rest = rest.slice(whole);
        if (command === 'SET') store.set(key, value);
        const answer = command === 'SET' ? undefined : damage(store.get(key) ?? '', gets++);
        socket.write(answer === undefined ? '+OK\r\n' : `$${answer.length}\r\n${answer}\r\n`, 'latin1');
      }
    });
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('the load generator keeps its rate, and tells a wrong answer from a right one', { skip }, async (t) => {
  const out = t.testdir();
  t.equal(
    spawnSync('make', ['-s', '-C', join(nativeDir(), 'host'), `OUT=${out}`, `${out}/kvload`]).status,
    0,
  );
  const options = {
    kvloadPath: join(out, 'kvload'),
    serverIp: '127.0.0.1',
    protocol: 'redis' as const,
    records: 500,
    valueBytes: 100,
    requestsPerSec: 400,
    connections: 4,
    readRatio: 0.5,
    zipf: 0.99,
  };
  const right = await startKvload({ ...options, port: await fakeRedis(t, (stored) => stored) });
  await sleep(700);
  const rows = await right.stop();
  t.ok(rows.length >= 6);
  t.equal(rows[1]!.count + rows[1]!.errors, 40, 'a tenth of the rate in each row');
  t.equal(
    rows.reduce((sum, each) => sum + each.errors, 0),
    0,
  );

  // One answer is torn in its middle, another is that of the record before.
  let previous = '';
  const port = await fakeRedis(t, (stored, gets) => {
    const answer =
      gets === 20 ? `${stored.slice(0, 50)}x${stored.slice(51)}` : gets === 40 ? previous : stored;
    previous = stored;
    return answer;
  });
  const wrong = await startKvload({ ...options, zipf: 0, port });
  await sleep(700);
  t.equal(
    (await wrong.stop()).reduce((sum, each) => sum + each.wrong, 0),
    2,
  );

  const closed = startKvload({ ...options, port: 1, signal: AbortSignal.timeout(300) });
  await t.rejects(closed, { name: 'TimeoutError' }, 'an abort ends it while it waits for a server');
});
