// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { guestKernelCommandLine, type GuestSpec } from '../../../testbed/guest/index.ts';
import { nativeDir } from '../../../testbed/image/build-cache.ts';
import { libraryClosure } from '../../../testbed/image/debian-packages.ts';
import { likelyPackages } from '../../../testbed/image/shared-libraries.ts';
import {
  appFigures,
  type KvloadRow,
  mergeHistograms,
  parseKvloadRow,
  quantileMs,
  startKvload,
} from '../../../testbed/measure/index.ts';
import {
  parseWorkload,
  readWorkload,
  resolveWorkload,
  workloadNames,
} from '../../../testbed/workload/index.ts';

const MIB = 1024 * 1024;
const HEAD = 'schema: slackwater/workload@1\nname: x\ntitle: A test\n';

test('every workload that comes with the testbed fits a guest of 512 MiB', (t) => {
  t.ok(workloadNames().length >= 20);
  for (const name of workloadNames()) {
    const { guest, load } = resolveWorkload(readWorkload(name), 512);
    const spec: GuestSpec = {
      memoryMib: 512,
      vcpus: 1,
      seed: 1,
      work: false,
      diskBlocksPerSec: 20,
      ...guest,
    };
    t.ok(guestKernelCommandLine(spec).includes('sw.pattern='), name);
    t.equal(load === undefined, guest.app?.name !== 'redis' && guest.app?.name !== 'memcached', name);
  }
  t.end();
});

test('a share of the memory becomes bytes once the memory is known', (t) => {
  const setMib = (memoryMib: number): number => {
    const { pattern } = resolveWorkload(readWorkload('sweep'), memoryMib).guest;
    return pattern.kind === 'steady' ? pattern.setBytes / MIB : 0;
  };
  t.ok(setMib(512) > 300 && setMib(512) < 400, `${setMib(512)} MiB of 512`);
  t.ok(setMib(2048) > 1600 && setMib(2048) < 1850, `${setMib(2048)} MiB of 2048`);
  const redis = resolveWorkload(readWorkload('redis-a'), 1024);
  t.equal(redis.guest.arenaMaxMib, 256);
  t.match(redis.guest.app?.settings, { memory_mib: 409, port: 6379 });
  t.match(redis.load, { protocol: 'redis', readRatio: 0.5, zipf: 0.99, valueBytes: 1000 });
  t.end();
});

test('a workload that does not fit its guest is refused with what it wants', (t) => {
  t.throws(() => resolveWorkload(readWorkload('redis-a'), 256), {
    code: 'ERR_TESTBED_WORKLOAD',
    message:
      /redis-a.yaml:1: on a guest of 256 MiB: redis and the checked memory want \d+ MiB, there are \d+/,
    remedy: /more memory/,
  });
  t.throws(() => resolveWorkload(readWorkload('steady-64m'), 128), { message: /its pattern wants 64 MiB/ });
  t.end();
});

test('what is wrong with a file is said with its line and key, all of it at once', (t) => {
  const wrong: [string, RegExp[]][] = [
    [
      `${HEAD}pattern:\n  kind: steady\n  set: 64XB\n  rate: 20\n  colour: red\n`,
      [
        /^dir\/x.yaml:6: pattern.set: wanted a size .* got "64XB"$/m,
        /^dir\/x.yaml:7: pattern.rate: /m,
        /:8: pattern.colour: unknown/,
      ],
    ],
    [
      `${HEAD}pattern:\n  kind: phases\n  phases:\n    - { for: 1s, pattern: { kind: burst } }\n`,
      [/:7: pattern.phases\[0\].pattern.kind: wanted one of idle, .*, got "burst"$/],
    ],
    [`${HEAD}app: { name: oracle }\n`, [/:4: app.name: wanted one of redis, .*, got "oracle"$/]],
    [
      `${HEAD}arena: 25%\npattern: { kind: idle }\napp: { name: redis, memory: 140% }\nload: { records: 1 }\n`,
      [/:6: app.memory: /, /:7: load.records: wanted a whole number from 2/, /:7: load.zipf: .* got nothing/],
    ],
    [
      'schema: slackwater/workload@2\n',
      [/^dir\/x.yaml:1: schema: wanted slackwater\/workload@1, got "slackwater\/workload@2"$/],
    ],
    [
      `${HEAD.replace('name: x', 'name: y')}pattern: { kind: idle }\n`,
      [/:2: name: wanted the file's own name "x"/],
    ],
    ['a: [', [/^dir\/x.yaml:1: /]],
    ['', [/wanted a mapping, got nothing/]],
  ];
  for (const [text, messages] of wrong) {
    for (const message of messages) t.throws(() => parseWorkload(text, 'dir/x.yaml'), { message });
  }
  t.throws(() => readWorkload('stedy'), { message: /there is no workload "stedy"/, remedy: /steady-64m/ });
  t.end();
});

test('an application is put on the kernel command line, its settings one by one', (t) => {
  const spec: GuestSpec = {
    memoryMib: 512,
    vcpus: 1,
    seed: 1,
    work: false,
    diskBlocksPerSec: 0,
    pattern: { kind: 'idle' },
  };
  const app = { name: 'redis' as const, settings: { port: 6379, memory_mib: 100 } };
  t.match(
    guestKernelCommandLine({ ...spec, arenaMaxMib: 64, app }),
    / sw.app=redis sw.app.port=6379 sw.app.memory_mib=100$/,
  );
  t.throws(() => guestKernelCommandLine({ ...spec, app }), {
    message: /arenaMaxMib for a guest with an application/,
  });
  t.throws(
    () => guestKernelCommandLine({ ...spec, arenaMaxMib: 64, app: { ...app, settings: { a: 'b c' } } }),
    {
      message: /a setting of redis/,
    },
  );
  t.end();
});

test('libraries are looked for in the packages that are called so, of those that a program depends on', (t) => {
  const listing =
    'app\n  Depends: libfoo2\n |Depends: libbar1\n  Depends: perl\n  Depends: <libvirtual>\nlibfoo2\n PreDepends: zlib1g\nlibbar1\nzlib1g\nperl\n  Depends: libother1\nlibother1\n';
  t.same(libraryClosure(['app'], listing), ['app', 'libfoo2', 'libbar1', 'zlib1g']);
  const packages = ['libc6', 'libevent-2.1-7t64', 'zlib1g', 'libipsec-mb1'].map((name) => ({
    name,
    version: '1',
  }));
  for (const [soname, name] of [
    ['libevent-2.1.so.7', 'libevent-2.1-7t64'],
    ['libz.so.1', 'zlib1g'],
    ['libIPSec_MB.so.1', 'libipsec-mb1'],
  ] as const) {
    t.equal(likelyPackages(soname, packages)[0]?.name, name);
  }
  t.end();
});

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
    ...{ records: 500, valueBytes: 100, requestsPerSec: 400, connections: 4, readRatio: 0.5, zipf: 0.99 },
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
