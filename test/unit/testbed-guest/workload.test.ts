// SPDX-License-Identifier: Apache-2.0
import { test } from 'tap';
import { guestKernelCommandLine, type GuestSpec } from '../../../testbed/guest/index.ts';
import { libraryClosure } from '../../../testbed/image/debian-packages.ts';
import { likelyPackages } from '../../../testbed/image/shared-libraries.ts';
import { parseWorkload } from '../../../src/experiment/index.ts';
import { readWorkload, resolveWorkload, workloadNames } from '../../../testbed/workload/index.ts';

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
    code: 'ERR_WORKLOAD',
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
        /^dir\/x.yaml:6: pattern.set: expected a size .* got "64XB"$/m,
        /^dir\/x.yaml:7: pattern.rate: /m,
        /:8: pattern.colour: unknown/,
      ],
    ],
    [
      `${HEAD}pattern:\n  kind: phases\n  phases:\n    - { for: 1s, pattern: { kind: burst } }\n`,
      [/:7: pattern.phases\[0\].pattern.kind: expected one of idle, .*, got "burst"$/],
    ],
    [`${HEAD}app: { name: oracle }\n`, [/:4: app.name: expected one of redis, .*, got "oracle"$/]],
    [
      `${HEAD}arena: 25%\npattern: { kind: idle }\napp: { name: redis, memory: 140% }\nload: { records: 1 }\n`,
      [
        /:6: app.memory: /,
        /:7: load.records: expected a whole number from 2/,
        /:7: load.zipf: .* got nothing/,
      ],
    ],
    [
      'schema: slackwater/workload@2\n',
      [/^dir\/x.yaml:1: schema: expected slackwater\/workload@1, got "slackwater\/workload@2"$/],
    ],
    [
      `${HEAD.replace('name: x', 'name: y')}pattern: { kind: idle }\n`,
      [/:2: name: expected the file's own name "x"/],
    ],
    ['a: [', [/^dir\/x.yaml:1: /]],
    ['', [/expected a mapping, got nothing/]],
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
