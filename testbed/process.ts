// SPDX-License-Identifier: Apache-2.0
// Starts other programs: argument vectors only, never a shell. Output is collected up to a limit, a time-out or an abort
// kills the child, and what goes wrong becomes a ProcessError that names the argv and the end of stderr.

import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { EXIT, type ExitCode, SlackwaterError, toError } from '../src/index.ts';

export type Argv = readonly [program: string, ...args: string[]];

const STDERR_TAIL_CHARS = 2000;

// ip, tc and depmod live in sbin, which a user's PATH may lack.
const PATH = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`;

/** A program could not be started, failed, took too long or said too much. */
export class ProcessError extends SlackwaterError {
  readonly code = 'ERR_PROCESS';
  override readonly exitCode: ExitCode;
  readonly argv: Argv;
  readonly processExitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;

  constructor(
    argv: Argv,
    what: string,
    got: {
      exitCode?: number | null;
      signal?: NodeJS.Signals | null;
      stderr?: string;
      cause?: unknown;
      /** It could not even be started: nothing was changed. */
      notInstalled?: boolean;
    },
  ) {
    const stderrTail = (got.stderr ?? '').trim().slice(-STDERR_TAIL_CHARS);
    super(`${argv.join(' ')}: ${what}${stderrTail === '' ? '' : `: ${stderrTail}`}`, {
      cause: got.cause,
      ...(got.notInstalled === true
        ? { remedy: 'what this machine lacks, and how to get it: slackwater doctor' }
        : {}),
    });
    this.exitCode = got.notInstalled === true ? EXIT.refused : EXIT.bug;
    this.argv = argv;
    this.processExitCode = got.exitCode ?? null;
    this.signal = got.signal ?? null;
    this.stderrTail = stderrTail;
  }
}

export interface RunOptions {
  /** Written to stdin, which is then closed. Without it stdin is /dev/null. */
  readonly input?: string | Uint8Array;
  /** The child is killed after this long. Default 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly maxOutputBytes?: number;
  /** Return a result for other exit codes than 0 too, instead of throwing. */
  readonly allowFailure?: boolean;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/**
 * Runs a program to its end and returns what it printed.
 * @throws ProcessError when it cannot be started, exits with another code than 0 (see `allowFailure`), is killed, prints
 * more than `maxOutputBytes` or runs longer than `timeoutMs`. An abort rejects with the signal's reason, untouched.
 */
export async function run(argv: Argv, options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const { timeoutMs = 30_000, maxOutputBytes = 16 * 1024 * 1024 } = options;
  const child = spawnChild(
    argv,
    [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    options,
    false,
  );
  let killedBecause: string | undefined;
  const kill = (because: string) => {
    killedBecause ??= because;
    child.kill('SIGKILL');
  };
  const output = { stdout: '', stderr: '' };
  let outputBytes = 0;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      outputBytes += Buffer.byteLength(chunk);
      if (outputBytes > maxOutputBytes) kill(`printed more than ${maxOutputBytes} bytes`);
      else output[name] += chunk;
    });
  }
  // A child that exits early closes its stdin; its exit code tells the story, not our EPIPE.
  child.stdin?.on('error', () => undefined).end(options.input);
  const timer = setTimeout(() => {
    kill(`not finished after ${timeoutMs} ms`);
  }, timeoutMs);
  const onAbort = () => {
    kill('aborted');
  };
  options.signal?.addEventListener('abort', onAbort);
  try {
    const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    options.signal?.throwIfAborted();
    const got = { exitCode, signal, stderr: output.stderr };
    if (killedBecause !== undefined) throw new ProcessError(argv, killedBecause, got);
    if (exitCode === null) throw new ProcessError(argv, `killed by ${signal ?? 'a signal'}`, got);
    if (exitCode !== 0 && options.allowFailure !== true) {
      throw new ProcessError(argv, `wanted exit code 0, got ${exitCode}`, got);
    }
    return { ...output, exitCode };
  } catch (error) {
    if (options.signal?.aborted === true || error instanceof ProcessError) throw error;
    throw startError(argv, error);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child that runs on while this process does other things. */
export interface LongLived {
  readonly pid: number;
  /** Resolves when the child is gone; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly child: ChildProcess;
  /** Sends a signal (default SIGKILL); false when the child was already gone. */
  kill(signal?: NodeJS.Signals): boolean;
}

/**
 * Starts a program and returns once it is running. It gets a session of its own, so that Ctrl-C in a terminal reaches
 * only this process, which then takes things down in order.
 * @throws ProcessError when it cannot be started
 */
export async function startLongLived(
  argv: Argv,
  options: { readonly stdio?: StdioOptions; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<LongLived> {
  const child = spawnChild(argv, options.stdio ?? 'ignore', options, true);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      resolve({ exitCode, signal });
    });
  });
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw startError(argv, error);
  }
  const pid = child.pid;
  if (pid === undefined) throw new ProcessError(argv, 'wanted a running process, got no pid', {});
  return { pid, exited, child, kill: (signal = 'SIGKILL') => child.kill(signal) };
}

function spawnChild(
  argv: Argv,
  stdio: StdioOptions,
  { env, cwd }: Pick<RunOptions, 'env' | 'cwd'>,
  detached: boolean,
): ChildProcess {
  const [program, ...args] = argv;
  return spawn(program, args, {
    stdio,
    detached,
    // Output is read by programs: in one language.
    env: { ...process.env, PATH, LC_ALL: 'C', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
}

function startError(argv: Argv, error: unknown): ProcessError {
  const notInstalled = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return new ProcessError(argv, notInstalled ? `${argv[0]} is not installed` : toError(error).message, {
    cause: error,
    notInstalled,
  });
}
