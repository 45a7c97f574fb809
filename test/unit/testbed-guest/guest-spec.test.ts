// SPDX-License-Identifier: Apache-2.0
import { test } from 'tap';
import type { GuestSpec } from '../../../testbed/guest/index.ts';
import { guestKernelCommandLine } from '../../../testbed/guest/index.ts';

const spec: GuestSpec = {
  memoryMib: 512,
  vcpus: 1,
  pattern: { kind: 'steady', setBytes: 2 ** 26, rateBytesPerSec: 2 ** 20 },
  seed: 7,
  work: true,
  diskBlocksPerSec: 20,
  ip: '10.0.0.10/24',
  clientIp: '10.0.0.3',
};

test('the kernel command line carries the specification', (t) => {
  const words = guestKernelCommandLine(spec).split(' ');
  for (const word of [
    'console=ttyS0',
    'sw.ip=10.0.0.10/24',
    'sw.client=10.0.0.3',
    'sw.pattern=steady:set=64M,rate=1M',
    'sw.seed=7',
    'sw.work=1',
    'sw.disk=20',
  ]) {
    t.ok(words.includes(word), word);
  }
  t.notOk(words.some((word) => word.startsWith('sw.reserve') || word.startsWith('sw.arena')));
  t.ok(
    guestKernelCommandLine({ ...spec, reserveMib: 40, arenaMaxMib: 100 }).endsWith(
      'sw.reserve=40 sw.arena=100',
    ),
  );
  t.end();
});

test('a guest without a network needs no addresses', (t) => {
  const { ip, clientIp, ...rest } = spec;
  t.ok(ip !== undefined && clientIp !== undefined);
  t.notMatch(guestKernelCommandLine({ ...rest, work: false }), /sw\.ip|sw\.client/);
  t.throws(() => guestKernelCommandLine(rest), { message: /wanted ip and clientIp/ });
  t.end();
});

test('a specification out of range is refused', (t) => {
  const wrong: [Partial<GuestSpec>, RegExp][] = [
    [{ memoryMib: 64 }, /memoryMib/],
    [{ vcpus: 0 }, /vcpus/],
    [{ seed: -1 }, /seed/],
    [{ seed: 2 ** 32 }, /seed/],
    [{ diskBlocksPerSec: 0.5 }, /diskBlocksPerSec/],
    [{ ip: '10.0.0.10' }, /ip such as/],
    [{ ip: '10.0.0.10/33' }, /ip such as/],
    [{ ip: '10.0.0.10/24 init=/bin/sh' }, /ip such as/],
    [{ clientIp: 'localhost' }, /clientIp/],
    [{ arenaMaxMib: 513 }, /arenaMaxMib/],
    [{ reserveMib: 4 }, /reserveMib/],
  ];
  for (const [change, message] of wrong) {
    t.throws(() => guestKernelCommandLine({ ...spec, ...change }), {
      code: 'ERR_TESTBED_GUEST_SPEC',
      message,
    });
  }
  t.end();
});
