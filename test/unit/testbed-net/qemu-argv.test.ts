// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { UsageError } from '../../../src/index.ts';
import { guestUuid, qemuArgv } from '../../../testbed/host/qemu-argv.ts';

const guest = { memoryMib: 512, vcpus: 1, kernelPath: '/k', append: 'quiet', diskPath: '/d,1.raw' };
const paths = (stem: string) => ({
  qmpPath: `${stem}.qmp`,
  monitorPath: `${stem}.monitor`,
  serialPath: `${stem}.console`,
  controlPath: `${stem}.control`,
});

const deviceOptions = (argv: readonly string[]) =>
  argv.flatMap((option, index) =>
    ['-device', '-machine', '-m', '-smp', '-netdev', '-blockdev', '-uuid', '-accel'].includes(option)
      ? [`${option} ${argv[index + 1] ?? ''}`]
      : [],
  );

t.test('both ends have the same device tree', (t) => {
  const source = qemuArgv('lab', 'a', guest, paths('/r/a'), false);
  const target = qemuArgv('lab', 'b', guest, paths('/r/b'), true);
  t.same(deviceOptions(source), deviceOptions(target));
  t.notOk(source.includes('-incoming'));
  t.equal(target[target.indexOf('-incoming') + 1], 'defer');
  t.end();
});

t.test('a comma in a path does not end the option', (t) => {
  t.ok(qemuArgv('lab', 'a', guest, paths('/r/a'), false).some((part) => part.endsWith('filename=/d,,1.raw')));
  t.end();
});

t.test('every testbed has a guest of its own', (t) => {
  t.match(guestUuid('lab'), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  t.equal(guestUuid('lab'), guestUuid('lab'));
  t.not(guestUuid('lab'), guestUuid('lab2'));
  t.end();
});

t.test('amounts that no guest can have are refused', (t) => {
  for (const wrong of [{ memoryMib: 0 }, { memoryMib: 1.5 }, { vcpus: 0 }, { vcpus: Number.NaN }]) {
    t.throws(() => qemuArgv('lab', 'a', { ...guest, ...wrong }, paths('/r/a'), false), UsageError);
  }
  t.end();
});
