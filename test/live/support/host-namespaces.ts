// SPDX-License-Identifier: Apache-2.0
// Three "machines" to be reached over ssh: the hosts of a testbed, each with a NIC that holds its address, an sshd, and a /run and a
// cache of its own. Whoever uses them starts where the client is, over the testbed's own links.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import {
  type Argv,
  createTestbed,
  ENDPOINTS,
  type HostName,
  namespaceOf,
  run,
  type Testbed,
} from '../../../testbed/index.ts';
import { type RunningSshd, sshOnPath, startSshd } from './sshd.ts';

export const HOSTS = ['src', 'dst', 'client'] as const;

const SSH_PORT = 22;
const CACHE = join(homedir(), '.cache', 'slackwater', 'hosts');

// As on most machines, no devices and no programs in /run. The keys of the sshd that is started are below it.
const ISOLATE = `
set -e
cache=$1
shift
mount -t tmpfs -o nosuid,nodev,noexec,mode=755 tmpfs /mnt
mkdir /mnt/sshd
for folder in /run/slackwater-test-sshd-*; do
  mkdir "/mnt/\${folder#/run/}"
  mount --bind "$folder" "/mnt/\${folder#/run/}"
done
mount --no-mtab --move /mnt /run
mount -t tmpfs -o mode=755 tmpfs "$cache"
exec "$@"
`;

export interface HostNamespaces {
  readonly testbed: Testbed;
  /** On which `ssh src`, `ssh dst` and `ssh client` lead to them, from where the client is. */
  readonly path: string;
  /** Runs a program as somebody who is logged in there sees things. */
  readonly inside: (host: HostName, argv: Argv) => Promise<string>;
  /** What an experiment left on a host, in words. */
  readonly leftovers: (host: HostName) => Promise<string[]>;
  /** Kills the process there that would undo everything. */
  readonly killKeeper: (host: HostName) => Promise<void>;
}

/** Goes with the test. */
export async function hostNamespaces(t: Test, sshd: string): Promise<HostNamespaces> {
  const testbed = await createTestbed({ link: 'lan-8g' });
  t.teardown(() => testbed.down());
  for (const host of ['src', 'dst'] as const) {
    await testbed.runOn(host, ['ip', 'link', 'delete', 'tap0']);
    await testbed.runOn(host, ['ip', 'link', 'delete', 'br0']);
    await testbed.runOn(host, ['ip', 'address', 'add', `${ENDPOINTS[host].ip}/24`, 'dev', 'eth0']);
  }
  // This machine may be somebody's host itself: then its cache is there already, and stays.
  if (!existsSync(CACHE)) {
    mkdirSync(CACHE, { recursive: true });
    t.teardown(() => {
      rmdirSync(CACHE);
    });
  }
  const running = new Map<HostName, RunningSshd>();
  for (const host of HOSTS) {
    running.set(
      host,
      await startSshd(t, {
        program: sshd,
        listenAddress: ENDPOINTS[host].ip,
        port: SSH_PORT,
        prefix: ['ip', 'netns', 'exec', namespaceOf(testbed.name, host), 'sh', '-c', ISOLATE, 'sh', CACHE],
      }),
    );
  }
  const inside = async (host: HostName, argv: Argv): Promise<string> => {
    const target = String(running.get(host)?.pid);
    return (await run(['nsenter', '--target', target, '--mount', '--net', ...argv])).stdout;
  };
  return {
    testbed,
    path: sshOnPath(
      t,
      Object.fromEntries([...running].map(([host, { clientConfig }]) => [host, clientConfig])),
    ),
    inside,
    leftovers: async (host) => [
      ...(await inside(host, ['ls', '/run'])).split('\n').filter((name) => name === 'slackwater-host'),
      // They share one /dev: what is left in it is told once.
      ...readdirSync('/dev').filter((name) => host === 'client' && name.startsWith('slackwater')),
      ...(await inside(host, ['ip', '-o', 'link'])).split('\n').filter((line) => line.includes('swguest')),
      ...(await inside(host, ['tc', 'qdisc', 'show', 'dev', 'eth0']))
        .split('\n')
        .filter((line) => line !== '' && !/^qdisc \S+ 0:/.test(line)),
      ...(await programsIn(testbed, host)).flatMap(({ line }) => (PROGRAMS.test(line) ? [line] : [])),
    ],
    killKeeper: async (host) => {
      for (const { pid, line } of await programsIn(testbed, host))
        if (KEEPER.test(line)) process.kill(pid, 'SIGKILL');
    },
  };
}

/** Of an experiment. */
const PROGRAMS = /^\S*(?:qemu|prober|kvload|iperf3)|keeper\.sh \S+ (?:keep|become)/;
const KEEPER = /keeper\.sh \S+ keep/;

interface Program {
  readonly pid: number;
  readonly line: string;
}

async function programsIn(testbed: Testbed, host: HostName): Promise<Program[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespaceOf(testbed.name, host)]);
  return stdout
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => {
      try {
        return {
          pid: Number(text),
          line: readFileSync(`/proc/${text}/cmdline`, 'utf8').replaceAll('\0', ' '),
        };
      } catch {
        return { pid: Number(text), line: '' };
      }
    });
}
