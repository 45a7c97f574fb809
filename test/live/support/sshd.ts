// SPDX-License-Identifier: Apache-2.0
// An sshd for tests, with keys of its own and gone with the test. A machine without one gets Debian's, unpacked into the cache
// and never installed: that would start a daemon.

import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import type { Test } from 'tap';
import { messageOf } from '../../../src/index.ts';
import { defaultCacheDir, ensureCached, hashOfInputs } from '../../../testbed/image/build-cache.ts';
import { findPackages, unpackPackage } from '../../../testbed/image/debian-packages.ts';
import { ImageError } from '../../../testbed/image/index.ts';
import { collectLibraries } from '../../../testbed/image/shared-libraries.ts';
import { type Argv, type LongLived, ProcessError, run, startLongLived } from '../../../testbed/index.ts';
import { enterLockIn, leaveLockIn, SSHD_FOLDER } from './sshd-lock-in.ts';

const INSTALLED = '/usr/sbin/sshd';
const PACKAGE = 'openssh-server';
// The last two are parts of their own since OpenSSH 9.8 and 10.0.
const PROGRAMS = ['usr/sbin/sshd', 'usr/lib/openssh/sshd-session', 'usr/lib/openssh/sshd-auth'];
const START_TIMEOUT_MS = 10_000;

/**
 * Starts the unpacked sshd, beside which it lies: with the libraries that the machine lacks, and in a mount namespace where
 * the user exists that sshd becomes before anybody has logged in. What logs in sees the machine as it is but for that.
 */
const STARTER = `#!/bin/sh
set -e
here=\${0%/*}
if [ "$1" != --inside ]; then exec unshare --mount --propagation slave "$0" --inside "$@"; fi
shift
users=$(mktemp)
cat /etc/passwd >"$users"
grep -q '^sshd:' "$users" || echo 'sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin' >>"$users"
chmod 644 "$users"
mount --bind "$users" /etc/passwd || { rm "$users"; exit 1; }
rm "$users"
if [ -e "$here/sshd-auth" ]; then set -- -o "SshdAuthPath=$here/sshd-auth" "$@"; fi
if [ -e "$here/sshd-session" ]; then set -- -o "SshdSessionPath=$here/sshd-session" "$@"; fi
export LD_LIBRARY_PATH="$here/lib"
exec "$here/sshd" "$@"
`;

async function librariesOfThisMachine(): Promise<Set<string>> {
  const { stdout } = await run(['ldconfig', '-p']);
  return new Set([...stdout.matchAll(/^\s+(\S+) \(libc6,x86-64/gm)].map(([, soname = '']) => soname));
}

async function unpackedSshd(): Promise<string> {
  const closure = await findPackages([PACKAGE]);
  const versions = closure.map(({ name, version }) => `${name}=${version}`);
  const dir = await ensureCached(
    defaultCacheDir(),
    `sshd-${await hashOfInputs([STARTER, ...versions])}`,
    async (workDir) => {
      const tree = join(workDir, 'tree');
      await mkdir(tree);
      for (const own of closure.filter(({ name }) => name === PACKAGE)) await unpackPackage(own, tree);
      const programs: string[] = [];
      for (const path of PROGRAMS.map((program) => join(tree, program)).filter((each) => existsSync(each))) {
        const program = join(workDir, basename(path));
        await copyFile(path, program);
        programs.push(program);
      }
      const libraries = await collectLibraries(
        tree,
        programs,
        closure.filter(({ name }) => name !== PACKAGE),
        (package_) => unpackPackage(package_, tree),
        await librariesOfThisMachine(),
      );
      await mkdir(join(workDir, 'lib'));
      for (const [soname, path] of libraries) await copyFile(path, join(workDir, 'lib', soname));
      await writeFile(join(workDir, 'start'), STARTER);
      await chmod(join(workDir, 'start'), 0o755);
      await rm(tree, { recursive: true });
    },
  );
  return join(dir, 'start');
}

/** A program that is run like sshd: the machine's own, or one unpacked into the cache; null, with the reason on stderr. */
export async function sshdPath(): Promise<string | null> {
  if (existsSync(INSTALLED)) return INSTALLED;
  try {
    return await unpackedSshd();
  } catch (error) {
    if (!(error instanceof ImageError || error instanceof ProcessError)) throw error;
    process.stderr.write(`no sshd on this machine, and none to be had from Debian: ${messageOf(error)}\n`);
    return null;
  }
}

export interface SshdOptions {
  /** What `sshdPath` returned. */
  readonly program: string;
  /** Default 127.0.0.1. */
  readonly listenAddress?: string;
  /** Default: one that is free on this machine. */
  readonly port?: number;
  /** Comes before its argument vector, such as `ip netns exec NAME`. */
  readonly prefix?: Argv;
}

export interface RunningSshd {
  readonly pid: number;
  readonly listenAddress: string;
  readonly port: number;
  /** What an ssh_config says below its `Host` line so that a name leads here, to this process's user. */
  readonly clientConfig: readonly string[];
  /** What it has logged so far. */
  readonly log: () => string;
  /** Ends it and whoever is logged in; harmless when it is gone. What has left its session stays. */
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** All that a process has started and that still runs, by whose child it is. */
function descendantsOf(ancestor: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // Gone since the folder was read.
    }
  }
  const found = new Set([ancestor]);
  for (const each of found) for (const [pid, parent] of parents) if (parent === each) found.add(pid);
  found.delete(ancestor);
  return [...found];
}

async function end(sshd: LongLived): Promise<void> {
  // Held, so that nobody comes in between the look and the kill.
  if (!sshd.kill('SIGSTOP')) return;
  const sessions = descendantsOf(sshd.pid);
  sshd.kill('SIGKILL');
  for (const pid of sessions) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone with the one before it.
    }
  }
  await sshd.exited;
}

/** Starts an sshd that lets this user in by a key of its own; it listens when this returns, and goes with the test. */
export async function startSshd(test: Test, options: SshdOptions): Promise<RunningSshd> {
  const { program, listenAddress = '127.0.0.1', prefix = [] } = options;
  const port = options.port ?? (await freePort());
  // Under /run: sshd wants every folder above an authorized_keys file to be its owner's alone.
  const folder = mkdtempSync(SSHD_FOLDER);
  test.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
    leaveLockIn();
  });
  for (const name of ['host', 'user']) {
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  const config = join(folder, 'sshd_config');
  writeFileSync(
    config,
    [
      `Port ${port}`,
      `ListenAddress ${listenAddress}`,
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/user.pub`,
      'PidFile none',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'UsePAM no',
      // So that bash takes it for a shell in a shell and leaves the user's .bashrc alone: what stands there can hang, as does
      // pyenv's when one of these logins was killed in it.
      // And so that whoever logs in has the home of the test, though the user's entry may name another.
      `SetEnv SHLVL=1 HOME=${homedir()}`,
      'Subsystem sftp internal-sftp',
      '',
    ].join('\n'),
  );
  enterLockIn();
  const argv: Argv = [...prefix, program, '-D', '-e', '-f', config];
  const sshd = await startLongLived(argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= end(sshd));
  test.teardown(stop);
  await new Promise<void>((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`wanted an sshd on ${listenAddress} port ${port}, got ${what}: ${log.slice(-500)}`));
    };
    const timer = setTimeout(() => {
      fail('none that listens');
    }, START_TIMEOUT_MS);
    void sshd.exited.then(() => {
      fail('its end');
    });
    sshd.child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      log += piece;
      if (!log.includes('Server listening on')) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return {
    pid: sshd.pid,
    listenAddress,
    port,
    clientConfig: [
      `HostName ${listenAddress}`,
      `Port ${port}`,
      `IdentityFile ${folder}/user`,
      'IdentitiesOnly yes',
      `UserKnownHostsFile ${folder}/known_hosts`,
      'StrictHostKeyChecking accept-new',
    ],
    log: () => log,
    stop,
  };
}

/**
 * A PATH on which `ssh` knows these hosts: of each name (or pattern such as `*`) what an ssh_config says below its `Host`
 * line. For processes that are started with it; goes with the test.
 */
export function sshOnPath(test: Test, hosts: Readonly<Record<string, readonly string[]>>): string {
  const folder = mkdtempSync('/run/slackwater-test-ssh-');
  test.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const config = join(folder, 'ssh_config');
  writeFileSync(
    config,
    Object.entries(hosts)
      .flatMap(([name, lines]) => [`Host ${name}`, ...lines.map((line) => `  ${line}`), ''])
      .join('\n'),
  );
  const ssh = join(folder, 'ssh');
  writeFileSync(ssh, `#!/bin/sh\nexec /usr/bin/ssh -F ${config} "$@"\n`);
  chmodSync(ssh, 0o755);
  return `${folder}${delimiter}${process.env['PATH'] ?? ''}`;
}
