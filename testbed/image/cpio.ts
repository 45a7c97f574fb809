// SPDX-License-Identifier: Apache-2.0
// Packs a tree as the kernel unpacks it. Archives may be put one after the other: each ends on a boundary of 512 bytes.

import { readdir } from 'node:fs/promises';
import { run } from '../process.ts';

/** Packs all below `root` into `target`, everything owned by root. @throws ProcessError */
export async function packInitramfs(root: string, target: string): Promise<void> {
  const names = await readdir(root, { recursive: true });
  await run(['cpio', '--quiet', '--reproducible', '-o', '-H', 'newc', '-R', '0:0', '-F', target], {
    cwd: root,
    input: names
      .sort()
      .map((name) => `${name}\n`)
      .join(''),
  });
}
