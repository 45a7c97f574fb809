// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed reap: removes what killed creators left behind.

import type { Command } from 'commander';
import { reap } from '../index.ts';

export function registerReap(program: Command): void {
  program
    .command('reap')
    .description('remove all testbeds whose creator is gone')
    .option('--all', 'also those that were made by `up` to stay')
    .action(async (options: { all?: boolean }) => {
      const removed = await reap(options);
      process.stdout.write(removed.length === 0 ? 'nothing to remove\n' : `removed: ${removed.join(', ')}\n`);
    });
}
