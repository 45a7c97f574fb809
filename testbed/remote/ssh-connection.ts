// SPDX-License-Identifier: Apache-2.0
// One connection to a host by the system's OpenSSH client, which all that is done there shares. Keys, names and jumps are
// those of the user's ~/.ssh/config; it never asks questions. The connection ends with this process, however that ends.

import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Argv, type LongLived, startLongLived } from '../process.ts';
import { HostLostError, HostUnusableError } from './host-errors.ts';
import { shellQuote } from './shell-quote.ts';

// A dead link is noticed after 15 s at most: the keeper there undoes everything after 30.
const COMMON_OPTIONS = [
  ...['-o', 'BatchMode=yes', '-o', 'RemoteCommand=none', '-o', 'PermitLocalCommand=no'],
  ...['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3', '-o', 'ConnectTimeout=10'],
];
const CONNECT_TIMEOUT_MS = 25_000;
const CLOSE_TIMEOUT_MS = 2000;
// The folder goes with the connection, also when this process was killed.
const RUN_AND_CLEAN = 'folder=$1; shift; "$@"; status=$?; rm -rf "$folder"; exit "$status"';
const GREETING = 'slackwater-is-connected';

export class SshConnection implements AsyncDisposable {
  /** What one would give to ssh. */
  readonly host: string;
  /** Aborted when the connection has ended before `close`; the reason is a HostLostError. */
  readonly lost: AbortSignal;
  /** Private, for forwarded sockets; goes with the connection. */
  readonly folder: string;
  readonly #control: string;
  readonly #master: LongLived;
  #closed: Promise<void> | undefined;

  private constructor(host: string, folder: string, control: string, master: LongLived, lost: AbortSignal) {
    this.host = host;
    this.folder = folder;
    this.#control = control;
    this.#master = master;
    this.lost = lost;
    process.on('exit', this.#endNow);
  }

  /** @throws HostUnusableError with what ssh said; then nothing of it is left */
  static async open(host: string, signal?: AbortSignal): Promise<SshConnection> {
    signal?.throwIfAborted();
    const folder = await mkdtemp(join(tmpdir(), 'slackwater-ssh-'));
    const control = join(folder, 'control');
    // `cat` ends when our end of its input does, and with the last program there ssh ends.
    const options = ['-o', 'ControlPersist=no', '-o', 'ClearAllForwardings=yes', ...COMMON_OPTIONS];
    let master: LongLived | undefined;
    try {
      const ssh = ['ssh', '-M', '-S', control, ...options, '-T', host, 'cat'];
      master = await startLongLived(['sh', '-c', RUN_AND_CLEAN, 'sh', folder, ...ssh], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const lost = await connected(host, master, signal);
      return new SshConnection(host, folder, control, master, lost);
    } catch (error) {
      if (master !== undefined) killGroup(master);
      await master?.exited;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The argument vector of a local program that runs `argv` on the host. Its stdio and exit code are those of `argv`. */
  argvOf(argv: Argv): Argv {
    return ['ssh', ...this.#shared(), '-T', this.host, shellQuote(argv)];
  }

  /** The argument vector of a local program that has `localPath` lead to the socket `remotePath` on the host. */
  forwardArgv(localPath: string, remotePath: string): Argv {
    return ['ssh', ...this.#shared(), '-O', 'forward', '-L', `${localPath}:${remotePath}`, this.host];
  }

  /** Through this connection or not at all: without it ssh would make one of its own. */
  #shared(): string[] {
    return ['-S', this.#control, '-o', 'ControlMaster=no', '-o', 'ProxyCommand=false', ...COMMON_OPTIONS];
  }

  /** Ends the connection and what runs through it; what was started there with a session of its own stays. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    process.off('exit', this.#endNow);
    this.#master.child.stdin?.end();
    const timer = setTimeout(() => killGroup(this.#master), CLOSE_TIMEOUT_MS);
    await this.#master.exited;
    clearTimeout(timer);
    await rm(this.folder, { recursive: true, force: true });
  }

  readonly #endNow = (): void => {
    killGroup(this.#master);
    rmSync(this.folder, { recursive: true, force: true });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Waits until a program on the host has answered. The signal says when the connection has ended afterwards. */
async function connected(
  host: string,
  master: LongLived,
  signal: AbortSignal | undefined,
): Promise<AbortSignal> {
  const lost = new AbortController();
  const { stdin, stdout, stderr } = master.child;
  const said = { out: '', err: '' };
  const lastWords = (): string => said.err.trim().slice(-500) || 'no word from ssh';
  stderr?.setEncoding('utf8').on('data', (piece: string) => (said.err = (said.err + piece).slice(-4000)));
  // Written to when ssh has ended already: its exit tells the story.
  stdin?.on('error', () => undefined);
  stdin?.write(`${GREETING}\n`);
  const first = await new Promise<string>((resolve) => {
    const timer = setTimeout(() => done(`silence for ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
    const aborted = (): void => done('an interruption');
    const done = (how: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      resolve(how);
    };
    // A login shell may print a greeting of its own before.
    stdout?.setEncoding('utf8').on('data', (piece: string) => {
      if (said.out.length > 100_000) return;
      said.out += piece;
      if (said.out.includes(GREETING)) done('');
    });
    master.child.once('close', () => done(lastWords()));
    signal?.addEventListener('abort', aborted);
    void master.exited.then(() => {
      lost.abort(new HostLostError(host, `the connection has ended: ${lastWords()}`));
    });
  });
  signal?.throwIfAborted();
  if (first === '') return lost.signal;
  throw new HostUnusableError(host, `wanted a connection by ssh, got: ${first}`, {
    remedy: `this must do without questions: ssh -o BatchMode=yes ${host} true`,
  });
}

/** Shell and ssh: they have a process group of their own. */
function killGroup({ pid }: LongLived): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // They have ended.
  }
}
