// SPDX-License-Identifier: Apache-2.0
// A host that is reached over ssh: runs programs there, copies files to it and lets its sockets be used here.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Argv, type LongLived, ProcessError, run, type RunOptions, startLongLived } from '../process.ts';
import { RemoteCommandError } from './host-errors.ts';
import { SshConnection } from './ssh-connection.ts';

const COPY_TIMEOUT_MS = 600_000;
const SSH_FAILED = 255;
const LOSS_GRACE_MS = 500;
const SHOWN_CHARACTERS = 300;

// Prints the cache's folder, and those of the names that are not there. What nobody has used for 30 days goes.
const FIND_MISSING = `
dir=\${XDG_CACHE_HOME:-$HOME/.cache}/slackwater/hosts
mkdir -p "$dir" || exit 1
echo "folder $dir"
for name in "$@"; do
  if [ -e "$dir/$name" ]; then touch "$dir/$name"; else echo "missing $name"; fi
done
find "$dir" -type f -mtime +30 -delete
`;

// Appears whole or not at all, also when the connection breaks in the middle.
const TAKE = `
dir=$1 name=$2 wanted=$3
umask 077
partial=$dir/.partial-$$
trap 'rm -f "$partial"' EXIT
trap 'exit 1' HUP INT TERM PIPE
cat >"$partial" || exit 1
got=$(sha256sum "$partial")
[ "\${got%% *}" = "$wanted" ] || { echo "wanted the content $wanted, got $got" >&2; exit 1; }
chmod 700 "$partial" && mv "$partial" "$dir/$name"
`;

export class RemoteHost implements AsyncDisposable {
  readonly name: string;
  /** Aborted when the host cannot be reached any more; the reason is a HostLostError. */
  readonly lost: AbortSignal;
  readonly #connection: SshConnection;
  #forwards = 0;

  private constructor(connection: SshConnection) {
    this.#connection = connection;
    this.name = connection.host;
    this.lost = connection.lost;
  }

  /** @throws HostUnusableError when it cannot be reached */
  static async connect(ssh: string, signal?: AbortSignal): Promise<RemoteHost> {
    return new RemoteHost(await SshConnection.open(ssh, signal));
  }

  /**
   * Runs a program on the host to its end and returns what it printed.
   * @throws RemoteCommandError when it fails, HostLostError when the host is lost meanwhile, the signal's reason
   */
  async run(argv: Argv, options: RunOptions = {}): Promise<string> {
    try {
      return (await run(this.#connection.argvOf(argv), options)).stdout;
    } catch (error) {
      throw await this.#failed(argv, error);
    }
  }

  /** Starts a program on the host that runs on. Its death on the host is the local program's; killing that is not its death. */
  async start(argv: Argv, options: Parameters<typeof startLongLived>[1] = {}): Promise<LongLived> {
    this.lost.throwIfAborted();
    return await startLongLived(this.#connection.argvOf(argv), options);
  }

  /**
   * Copies files into the host's cache, under names with their content's hash: what is there already is not sent again.
   * Returns their paths on the host, in order.
   */
  async copy(localPaths: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const files = await Promise.all(
      localPaths.map(async (path) => {
        const content = await readFile(path);
        const sha256 = createHash('sha256').update(content).digest('hex');
        return { content, sha256, name: `${sha256.slice(0, 16)}-${basename(path)}` };
      }),
    );
    const found = await this.run(['sh', '-c', FIND_MISSING, 'sh', ...files.map(({ name }) => name)], {
      signal,
    });
    // A login shell may have printed lines of its own before.
    const folder = /^folder (.+)$/m.exec(found)?.[1];
    if (folder === undefined) {
      throw new RemoteCommandError(this.name, `wanted a folder for files, got "${found}"`);
    }
    const missing = found.split('\n').filter((line) => line.startsWith('missing '));
    for (const { name, sha256, content } of files) {
      if (!missing.includes(`missing ${name}`)) continue;
      await this.run(['sh', '-c', TAKE, 'sh', folder, name, sha256], {
        input: content,
        timeoutMs: COPY_TIMEOUT_MS,
        signal,
      });
    }
    return files.map(({ name }) => join(folder, name));
  }

  /** A local socket that leads to one on the host, until the connection ends. */
  async forward(remotePath: string): Promise<string> {
    const localPath = join(this.#connection.folder, `${++this.#forwards}.sock`);
    const argv = this.#connection.forwardArgv(localPath, remotePath);
    try {
      await run(argv);
    } catch (error) {
      throw await this.#failed(['forward', remotePath], error);
    }
    return localPath;
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #failed(argv: Argv, error: unknown): Promise<unknown> {
    if (!(error instanceof ProcessError)) return error;
    // Where the connection has ended, this program of ours may be the first to know.
    if (error.processExitCode === SSH_FAILED && !this.lost.aborted) {
      await delay(LOSS_GRACE_MS, undefined, { signal: this.lost }).catch(() => undefined);
    }
    if (this.lost.aborted) return this.lost.reason;
    const said = error.stderrTail === '' ? '' : `: ${error.stderrTail}`;
    const what =
      error.processExitCode === null ? 'it did not end in time' : `exit code ${error.processExitCode}${said}`;
    return new RemoteCommandError(this.name, `${argv.join(' ').slice(0, SHOWN_CHARACTERS)}: ${what}`, {
      processExitCode: error.processExitCode,
      stderrTail: error.stderrTail,
      cause: error,
    });
  }
}
