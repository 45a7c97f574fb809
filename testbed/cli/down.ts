// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed down: removes one testbed and all that runs in it.

import type { Command } from 'commander';
import { removeTestbed } from '../index.ts';

export function registerDown(program: Command): void {
  program
    .command('down')
    .description('remove a testbed and everything that runs in it')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      await removeTestbed(name);
      process.stdout.write(`testbed ${name} removed\n`);
    });
}
