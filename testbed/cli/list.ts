// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed list: which testbeds there are, and whether somebody looks after them.

import type { Command } from 'commander';
import type { TestbedSummary } from '../index.ts';
import { listTestbeds } from '../index.ts';

export function registerList(program: Command): void {
  program
    .command('list')
    .description('show all testbeds')
    .option('--json', 'one JSON document')
    .action(async (options: { json?: boolean }) => {
      const testbeds = await listTestbeds();
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify({ schema: 'slackwater-testbed.list/1', testbeds })}\n`);
        return;
      }
      process.stdout.write(testbeds.length === 0 ? 'no testbeds\n' : testbeds.map(line).join(''));
    });
}

function line({ name, state, link, creatorPid }: TestbedSummary): string {
  return `${name.padEnd(20)} ${state.padEnd(10)} link ${(link ?? '-').padEnd(10)} creator ${creatorPid ?? '-'}\n`;
}
