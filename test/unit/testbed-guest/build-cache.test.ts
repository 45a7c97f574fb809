// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { ensureCached, hashOfInputs } from '../../../testbed/image/build-cache.ts';
import { moduleLoadOrder } from '../../../testbed/image/guest-kernel.ts';

test('two builders at once leave one whole entry', async (t) => {
  const cacheDir = join(t.testdir(), 'cache');
  const build = async (dir: string): Promise<void> => {
    await writeFile(join(dir, 'first'), 'a');
    await sleep(20);
    await writeFile(join(dir, 'second'), 'b');
  };
  const dirs = await Promise.all([1, 2, 3].map(async () => await ensureCached(cacheDir, 'thing-k', build)));
  t.same(new Set(dirs).size, 1);
  t.same(readdirSync(cacheDir), ['thing-k']);
  t.equal(await readFile(join(dirs[0]!, 'second'), 'utf8'), 'b');
  await ensureCached(cacheDir, 'thing-k', () => Promise.reject(new Error('must not be built again')));
});

test('a failed build leaves nothing, an abandoned one is swept', async (t) => {
  const cacheDir = join(t.testdir(), 'cache');
  mkdirSync(join(cacheDir, '.building-4194305-dead'), { recursive: true }); // no process can have this id
  mkdirSync(join(cacheDir, '.building-1-alive'));
  await t.rejects(
    ensureCached(cacheDir, 'thing-k', async (dir) => {
      await writeFile(join(dir, 'half'), '');
      throw new Error('no compiler');
    }),
    { message: 'no compiler' },
  );
  t.same(readdirSync(cacheDir), ['.building-1-alive']);
});

test('the key changes with names and contents', async (t) => {
  const dir = t.testdir({ a: '1', sub: { b: '2' } });
  const first = await hashOfInputs(['gcc 12'], [dir]);
  t.equal(await hashOfInputs(['gcc 12'], [dir]), first);
  t.not(await hashOfInputs(['gcc 13'], [dir]), first);
  writeFileSync(join(dir, 'sub', 'b'), '3');
  t.not(await hashOfInputs(['gcc 12'], [dir]), first);
});

test('modules are loaded after what they need, builtin ones not at all', (t) => {
  const dep = [
    'kernel/v/virtio_pci.ko: kernel/v/virtio_pci_modern_dev.ko kernel/v/virtio.ko kernel/v/virtio_ring.ko',
    'kernel/v/virtio_pci_modern_dev.ko:',
    'kernel/n/virtio_net.ko.xz: kernel/n/net-failover.ko.xz kernel/v/virtio.ko kernel/v/virtio_ring.ko',
  ].join('\n');
  t.same(moduleLoadOrder(['virtio_pci', 'virtio_net', 'virtio_blk'], dep, 'kernel/b/virtio_blk.ko\n'), [
    'kernel/v/virtio_ring.ko',
    'kernel/v/virtio.ko',
    'kernel/v/virtio_pci_modern_dev.ko',
    'kernel/v/virtio_pci.ko',
    'kernel/n/net-failover.ko.xz',
    'kernel/n/virtio_net.ko.xz',
  ]);
  t.throws(() => moduleLoadOrder(['virtio_blk'], dep, ''), { message: /no module virtio_blk/ });
  t.end();
});
