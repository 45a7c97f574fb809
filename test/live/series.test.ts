// SPDX-License-Identifier: Apache-2.0
// The patch series against QEMU applies to the newest source of its line that Debian has, not only to the one that is built.

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { DebianSource } from '../../testbed/image/debian-source.ts';
import { chooseTarball, readRecipe, unpackPatched } from '../../testbed/image/patched-qemu.ts';

const LINE = '1:10.0.';

t.test('the series applies to the newest QEMU 10.0', async (t) => {
  const recipe = await readRecipe();
  const scratch = t.testdir();
  const source = await DebianSource.open(recipe.source, recipe.suites, scratch);
  const tarball = chooseTarball({ ...recipe, versions: [LINE] }, source.tarballs);
  t.comment(tarball.version);
  const downloads = join(scratch, 'download');
  await mkdir(downloads);
  const tree = join(scratch, 'source');
  await unpackPatched(await source.download(tarball, downloads), tree);
  t.ok(existsSync(join(tree, 'migration', 'slackwater.c')), 'and brings its files');
});
