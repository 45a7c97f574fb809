// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed build-qemu: builds the QEMU with the project's patch series into the cache.

import type { Command } from 'commander';
import { ensurePatchedQemu } from '../image/index.ts';

export function registerBuildQemu(program: Command): void {
  program
    .command('build-qemu')
    .description('build the QEMU with the patch series of native/qemu into the cache, and print its path')
    .action(async () => {
      const path = await ensurePatchedQemu({
        onProgress: (line) => {
          process.stderr.write(`${line}\n`);
        },
      });
      process.stdout.write(`${path}\n`);
    });
}
