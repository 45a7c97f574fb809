// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed up: makes a testbed that stands until `down`.

import type { Command } from 'commander';
import { ENDPOINTS, LINK_PROFILES, createTestbed, namespaceOf } from '../index.ts';
import type { CommandEnvironment } from './environment.ts';

export function registerUp(program: Command, { signal }: CommandEnvironment): void {
  const links = LINK_PROFILES.map(({ name }) => name).join(', ');
  program
    .command('up')
    .description('make a testbed and leave it standing')
    .option('--name <name>', 'its name', 'lab')
    .option('--link <link>', `what each host's link carries: ${links}, or a rate such as 300mbit`, 'lan-1g')
    .action(async (options: { name: string; link: string }) => {
      const testbed = await createTestbed({ ...options, signal });
      try {
        await testbed.keep();
        signal.throwIfAborted();
      } catch (error) {
        await testbed.down();
        throw error;
      }
      const { name } = testbed;
      const hosts = (['src', 'dst', 'client'] as const).map(
        (host) =>
          `  ${host.padEnd(6)} ${ENDPOINTS[host].ip}  ip netns exec ${namespaceOf(name, host)} COMMAND\n`,
      );
      process.stdout.write(
        [
          `testbed ${name} stands (link ${testbed.link.name}, files in ${testbed.directory})\n`,
          ...hosts,
        ].join(''),
      );
      process.stderr.write(`remove it with: slackwater-testbed down ${name}\n`);
    });
}
