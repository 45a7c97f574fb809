// SPDX-License-Identifier: Apache-2.0
// A host claimed for an experiment. All that is made there is made through here: written down beforehand, and undone by the
// keeper on the host (keeper.sh) when the claim is given up, or not renewed for 30 s.

import { join } from 'node:path';
import { messageOf, packageRoot } from '../../src/index.ts';
import type { Argv, LongLived, RunOptions, startLongLived } from '../process.ts';
import { HostLostError, HostUnusableError, RemoteCommandError } from './host-errors.ts';
import type { RemoteHost } from './remote-host.ts';
import { changeArguments, type UndoStep } from './undo-step.ts';

const BEAT_EVERY_MS = 10_000;
const BEAT_TIMEOUT_MS = 8000;
const SILENCE_S = 30;
const MISSED_BEATS = 2;
const STOP_TIMEOUT_MS = 60_000;
// What a killed keeper left is undone first.
const CLAIM_TIMEOUT_MS = 60_000;

/** Exit codes of keeper.sh. */
const IN_USE = 74;
const GONE = 75;
const NOT_UNDONE = 76;

/** On the host; there is one experiment at a time on a host. */
export const HOST_FOLDER = '/run/slackwater-host';

export interface Launch {
  readonly name: string;
  /** Open in the program as descriptor 3. */
  readonly devicePath: string;
  readonly logPath: string;
  /** It runs as soon as it has made this. */
  readonly socketPath: string;
  readonly argv: Argv;
}

function keeperScriptPath(): string {
  return join(packageRoot(), 'testbed', 'remote', 'keeper.sh');
}

export class Keeper {
  readonly host: RemoteHost;
  /** Aborted when the host cannot be used any more; the reason is a HostLostError. */
  readonly lost: AbortSignal;
  readonly #script: string;
  readonly #owner: string;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #beats = 0;
  #starts = 0;
  #missed = 0;
  #stopped: Promise<void> | undefined;

  private constructor(host: RemoteHost, script: string, owner: string) {
    this.host = host;
    this.#script = script;
    this.#owner = owner;
    this.lost = AbortSignal.any([host.lost, this.#lost.signal]);
    this.#timer = setInterval(() => void this.#beat(), BEAT_EVERY_MS);
    // It must not keep a process alive that has nothing else to do.
    this.#timer.unref();
  }

  /**
   * Claims a host, once what a dead keeper left there is undone. `owner` is what others are told who find it in use.
   * @throws HostUnusableError when it is in use, or remains cannot be undone
   */
  static async claim(host: RemoteHost, owner: string, signal?: AbortSignal): Promise<Keeper> {
    const [script = ''] = await host.copy([keeperScriptPath()], signal);
    await runKeeper(host, script, ['claim', owner, String(SILENCE_S)], { timeoutMs: CLAIM_TIMEOUT_MS });
    return new Keeper(host, script, owner);
  }

  /** Makes a change, with what undoes it written down before. Returns what the change printed. */
  async change(undo: UndoStep, change: Argv): Promise<string> {
    return await this.#run(['change', this.#owner, ...changeArguments(undo, change)]);
  }

  /** Runs a program to its end that must not outlive the claim. */
  async run(name: string, argv: Argv, options: RunOptions = {}): Promise<string> {
    return await this.#run(this.#become(name, argv), options);
  }

  /** Starts a program that ends with the claim at the latest. `kill` reaches it on the host. */
  async start(
    name: string,
    argv: Argv,
    options: Parameters<typeof startLongLived>[1] = {},
  ): Promise<LongLived> {
    this.lost.throwIfAborted();
    // A kill may arrive late: it must not reach the next one of that name.
    const unique = `${name}-${++this.#starts}`;
    const local = await this.host.start(this.#argv(this.#become(unique, argv)), options);
    return {
      ...local,
      kill: (signal = 'SIGKILL') => {
        // Where the host is lost, the keeper there sees to it.
        this.#signal(unique, signal).catch(() => local.kill());
        return true;
      },
    };
  }

  /** Starts a program in the background of the host; its pid there, once it has made its socket. */
  async launch({ name, devicePath, logPath, socketPath, argv }: Launch): Promise<number> {
    const said = await this.#run(['launch', this.#owner, name, devicePath, logPath, socketPath, ...argv]);
    return Number(said.trim().split('\n').at(-1));
  }

  async #signal(name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#run(['signal', name, signal.replace(/^SIG/, '')]);
  }

  /**
   * Has everything undone and returns when it is. Where the host is lost, its keeper does so by itself.
   * @throws HostUnusableError with what could not be undone
   */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer);
    const { lost } = this.host;
    if (lost.aborted) return;
    await runKeeper(this.host, this.#script, ['stop', this.#owner], { timeoutMs: STOP_TIMEOUT_MS }).catch(
      (error: unknown) => {
        if (error !== lost.reason) throw error;
      },
    );
  }

  #become(name: string, argv: Argv): string[] {
    return ['become', this.#owner, name, '-', ...argv];
  }

  #argv(args: readonly string[]): Argv {
    return ['sh', this.#script, HOST_FOLDER, ...args];
  }

  async #run(args: readonly string[], options: RunOptions = {}): Promise<string> {
    this.lost.throwIfAborted();
    return await runKeeper(this.host, this.#script, args, options);
  }

  async #beat(): Promise<void> {
    try {
      const args = ['beat', this.#owner, String(++this.#beats)];
      await runKeeper(this.host, this.#script, args, { timeoutMs: BEAT_TIMEOUT_MS });
      this.#missed = 0;
    } catch (error) {
      this.#missed += 1;
      const gone = error instanceof HostLostError;
      if (!gone && this.#missed < MISSED_BEATS) return;
      clearInterval(this.#timer);
      this.#lost.abort(
        gone ? error : new HostLostError(this.host.name, `no answer any more: ${messageOf(error)}`, error),
      );
    }
  }
}

/** @throws HostUnusableError for what keeper.sh says of the host, RemoteCommandError for anything else */
async function runKeeper(
  host: RemoteHost,
  script: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  try {
    return await host.run(['sh', script, HOST_FOLDER, ...args], options);
  } catch (error) {
    if (!(error instanceof RemoteCommandError)) throw error;
    const said = error.stderrTail;
    switch (error.processExitCode) {
      case IN_USE:
        throw new HostUnusableError(host.name, said, {
          remedy: `let it end; what was abandoned is undone within ${SILENCE_S} s, and by: slackwater-testbed reap --host ${host.name}`,
        });
      case GONE:
        throw new HostLostError(
          host.name,
          `${said} (it was killed, or its claim not renewed in time)`,
          error,
        );
      case NOT_UNDONE:
        throw new HostUnusableError(host.name, said, {
          remedy: `mend it there, then: slackwater-testbed reap --host ${host.name}`,
        });
      default:
        throw error;
    }
  }
}

/**
 * Undoes by hand what a killed keeper left on a host, with `all` also what a living one looks after. Returns what it was,
 * in words; empty when there was nothing. @throws HostUnusableError
 */
export async function reapHost(host: RemoteHost, all: boolean): Promise<string> {
  const [script = ''] = await host.copy([keeperScriptPath()]);
  const args = ['reap', ...(all ? ['all'] : [])];
  return (await runKeeper(host, script, args, { timeoutMs: STOP_TIMEOUT_MS })).trim();
}
