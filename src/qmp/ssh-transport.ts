// SPDX-License-Identifier: Apache-2.0
// A monitor on another host, reached by the system's OpenSSH client: it forwards a local UNIX socket to the remote one,
// with the keys, host checks and ~/.ssh/config that the user has anyway. It never prompts.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../common/index.ts';
import { inLoginTurn, messageOf } from '../common/index.ts';
import { QmpConnectError } from './errors.ts';
import { openSocket } from './transport.ts';
import type { QmpTransport, QmpTransportHandlers, SocketTransport } from './transport.ts';

const POLL_MS = 20;
const KILL_AFTER_MS = 1000;
const STDERR_GRACE_MS = 100;
const STDERR_TAIL_LENGTH = 500;
// Of the other side's sshd: it could not connect to the socket. That it was not allowed to reads otherwise.
const NOBODY_LISTENS = /open failed: connect failed/;

export interface SshTarget {
  readonly host: string;
  readonly path: string;
}

// One listener for all: a gang has hundreds of them.
const running = new Set<SshForward>();
process.on('exit', () => {
  for (const forward of running) forward.killNow();
});

/** The ssh process and its folder. `stop()` leaves neither behind. */
class SshForward {
  readonly localPath: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #stderr = '';
  #ending: string | undefined;
  #stopped: Promise<void> | undefined;

  constructor(program: string, target: SshTarget, folder: string) {
    this.#folder = folder;
    this.localPath = join(folder, 'qmp.sock');
    const options = [
      ...['BatchMode=yes', 'ExitOnForwardFailure=yes', 'StreamLocalBindUnlink=yes'],
      // A dead link ends it after 15 s instead of a quarter of an hour.
      ...['ServerAliveInterval=5', 'ServerAliveCountMax=3'],
    ];
    this.#child = spawn(
      program,
      [
        ...options.flatMap((option) => ['-o', option]),
        '-N',
        '-L',
        `${this.localPath}:${target.path}`,
        target.host,
      ],
      // A session of its own: Ctrl-C on the terminal must not cut the monitor that we need to cancel a migration.
      { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    );
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL_LENGTH);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#ending = `cannot run ${program}: ${error.message}`;
        resolve();
      });
      this.#child.once('exit', (code, signal) => {
        const ended = (): void => {
          this.#ending ??= `${program} ended with ${signal ?? `status ${String(code)}`}`;
          resolve();
        };
        // Its last words are still in the pipe. But a ControlPersist master keeps the pipe open for good.
        const timer = setTimeout(ended, STDERR_GRACE_MS);
        this.#child.once('close', () => {
          clearTimeout(timer);
          ended();
        });
      });
    });
    running.add(this);
  }

  /** How ssh ended, with what it last said; undefined while it runs. */
  get ending(): string | undefined {
    return this.#ending === undefined ? undefined : `${this.#ending}${this.lastWords}`;
  }

  /** What ssh last wrote to stderr, as a clause; empty when nothing. */
  get lastWords(): string {
    const text = this.#stderr.trim();
    return text === '' ? '' : `; ssh said: ${text}`;
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    running.delete(this);
    // Real time, not the injected clock: the process is real.
    const timer = setTimeout(() => this.killNow(), KILL_AFTER_MS);
    this.#child.kill('SIGTERM');
    await this.#exited;
    clearTimeout(timer);
    this.#child.stderr?.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }

  killNow(): void {
    this.#child.kill('SIGKILL');
  }
}

class SshTransport implements QmpTransport {
  readonly name: string;
  readonly #socket: SocketTransport;
  readonly #forward: SshForward;

  constructor(name: string, socket: SocketTransport, forward: SshForward) {
    this.name = name;
    this.#socket = socket;
    this.#forward = forward;
  }

  start(handlers: QmpTransportHandlers): void {
    this.#socket.start({
      onData: handlers.onData,
      onEnd: (cause) => {
        // ssh writes why before it closes the socket; one turn of the event loop lets that text arrive as well.
        setImmediate(() => {
          const why = this.#forward.ending ?? `${cause.message}${this.#forward.lastWords}`;
          handlers.onEnd(
            NOBODY_LISTENS.test(why)
              ? new QmpConnectError('refused', this.name, `nobody listens at ${this.name}: ${why}`, {
                  cause,
                  remedy: 'check the path there; QEMU has probably exited',
                })
              : new Error(why, { cause }),
          );
        });
      },
    });
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  async close(): Promise<void> {
    await this.#socket.close();
    await this.#forward.stop();
  }
}

/**
 * Starts ssh and connects through it. On rejection the process is gone and its folder removed.
 * @throws QmpConnectError with the tail of ssh's stderr; the reason of `signal` when aborted
 */
export async function openSsh(
  name: string,
  target: SshTarget,
  program: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<QmpTransport> {
  // Its turn ends with the first connection: a forward takes none before ssh has logged in.
  return await inLoginTurn(target.host, () => forwardTo(name, target, program, clock, signal), signal);
}

async function forwardTo(
  name: string,
  target: SshTarget,
  program: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<QmpTransport> {
  signal.throwIfAborted();
  // mkdtemp makes it 0700: whoever can reach the local end of the forward owns the remote QEMU.
  const folder = await mkdtemp(join(tmpdir(), 'slackwater-qmp-'));
  const forward = new SshForward(program, target, folder);
  try {
    return new SshTransport(name, await firstConnection(name, forward, clock, signal), forward);
  } catch (error) {
    await forward.stop();
    throw error;
  }
}

/**
 * The first connection that the forward accepts is the one that is used: a probe beforehand would be a client of the
 * monitor, and the monitor serves only one at a time.
 */
async function firstConnection(
  name: string,
  forward: SshForward,
  clock: Clock,
  signal: AbortSignal,
): Promise<SocketTransport> {
  for (;;) {
    signal.throwIfAborted();
    if (forward.ending !== undefined) {
      throw new QmpConnectError('ssh', name, `cannot reach the monitor at ${name}: ${forward.ending}`, {
        remedy:
          'try the same host with "ssh -o BatchMode=yes HOST true": key, known host and user must do without questions',
      });
    }
    try {
      return await openSocket(name, { path: forward.localPath }, signal);
    } catch (error) {
      // A deadline's reason looks like a connection's own error, and is not the forward's.
      signal.throwIfAborted();
      if (!(error instanceof QmpConnectError)) throw error;
      if (error.reason !== 'missing' && error.reason !== 'refused') {
        throw new QmpConnectError('ssh', name, `cannot use the forward to ${name}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
    await clock.sleep(POLL_MS, signal);
  }
}
