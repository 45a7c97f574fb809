// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed demo: stock QEMU and Slackwater, side by side.

import type { Command } from 'commander';
import { UsageError } from '../../src/index.ts';
import { runDemo } from '../demo/demo.ts';
import { demoTable } from '../demo/table.ts';
import type { CommandEnvironment } from './environment.ts';

interface DemoFlags {
  readonly repeat: string;
  readonly link: string;
  readonly json?: boolean;
}

export function registerDemo(program: Command, { signal }: CommandEnvironment): void {
  program
    .command('demo')
    .description('migrate a write-heavy guest by stock pre-copy and by Slackwater, and compare')
    .option('--repeat <n>', 'runs of each, in turn; medians are shown', '1')
    .option('--link <link>', "what each host's link carries", 'lan-1g')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags: DemoFlags) => {
      const repeat = Number(flags.repeat);
      if (!Number.isInteger(repeat) || repeat < 1) {
        throw new UsageError(`--repeat: expected a whole number from 1, got "${flags.repeat}"`);
      }
      const result = await runDemo({
        repeat,
        link: flags.link,
        signal,
        onProgress: (line) => process.stderr.write(`${line}\n`),
      });
      if (flags.json === true) {
        const document = {
          schema: 'slackwater/demo@1',
          accelerator: result.accelerator,
          accelerator_reason: result.acceleratorReason,
          goodput_bytes_per_sec: result.goodputBytesPerSec,
          runs: result.runs,
        };
        process.stdout.write(`${JSON.stringify(document)}\n`);
      } else {
        process.stdout.write(`\n${demoTable(result.runs).join('\n')}\n`);
      }
    });
}
