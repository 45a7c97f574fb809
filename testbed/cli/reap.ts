// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed reap: removes what killed creators left behind, on this machine or on a host of an experiment.

import type { Command } from 'commander';
import { reap } from '../index.ts';
import { reapHost, RemoteHost } from '../remote/index.ts';
import type { CommandEnvironment } from './environment.ts';

interface ReapFlags {
  readonly all?: boolean;
  readonly host?: string;
}

async function removed({ all = false, host }: ReapFlags, signal: AbortSignal): Promise<string> {
  if (host === undefined) return (await reap({ all })).join(', ');
  await using remote = await RemoteHost.connect(host, signal);
  return await reapHost(remote, all);
}

export function registerReap(program: Command, { signal }: CommandEnvironment): void {
  program
    .command('reap')
    .description('remove all testbeds whose creator is gone, or what an experiment left on a host')
    .option('--host <ssh>', 'undo what a killed keeper left on this host')
    .option('--all', 'also testbeds that were made by `up` to stay; on a host, also what is in use')
    .action(async (flags: ReapFlags) => {
      const names = await removed(flags, signal);
      process.stdout.write(names === '' ? 'nothing to remove\n' : `removed: ${names}\n`);
    });
}
