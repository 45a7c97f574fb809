// SPDX-License-Identifier: Apache-2.0
// How a check looks at the machine: short programs, and a scratch network namespace. Neither leaves anything behind.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { toError } from '../../common/index.ts';

const PROGRAM_TIMEOUT_MS = 10_000;

// ip, tc and depmod live in sbin, which a user's PATH may lack.
const env = {
  ...process.env,
  PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
};

/** What a check found. `ok: undefined`: could not be told, for the reason in `found`. */
export interface Finding {
  readonly ok: boolean | undefined;
  readonly found: string;
}

export interface ProgramResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** The last line of stderr, or why it did not start. */
  readonly complaint: string;
}

/** Runs a program to its end; never rejects. */
export async function runProgram(
  program: string,
  args: readonly string[],
  input = '',
): Promise<ProgramResult> {
  return await new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { env, timeout: PROGRAM_TIMEOUT_MS, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const lastLine = stderr.trim().split('\n').at(-1) ?? '';
        const complaint = lastLine === '' && error !== null ? toError(error).message : lastLine;
        resolve({ ok: error === null, stdout, complaint });
      },
    );
    // A program that ends before it has read everything says so by its exit code.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

/** Whether a program is installed, and the first line that it says of its version. */
export async function findProgram(program: string, versionArgument = '--version'): Promise<Finding> {
  const { stdout, complaint } = await runProgram(program, [versionArgument]);
  if (/^spawn .* ENOENT$/.test(complaint)) return { ok: false, found: `${program} is not installed` };
  if (/^spawn .* E[A-Z]+$/.test(complaint)) return { ok: false, found: complaint };
  const firstLine = (stdout === '' ? complaint : stdout).trim().split('\n')[0] ?? '';
  return { ok: true, found: firstLine === '' ? program : firstLine };
}

/** A network namespace without a name: it lives as long as one child of ours, which dies with us in any case. */
export interface ScratchNamespace {
  /** Runs a program inside. */
  run(program: string, ...args: string[]): Promise<ProgramResult>;
  close(): Promise<void>;
}

/** @throws Error with the kernel's or the tool's own words when this user or this kernel cannot have one */
export async function openScratchNamespace(): Promise<ScratchNamespace> {
  // `cat` gives a byte back once it runs, which is inside; it ends when our end of its stdin closes.
  const holder = spawn('unshare', ['--net', '--', 'cat'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  holder.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk));
  const closed = once(holder, 'close');
  holder.stdin.on('error', () => undefined).write('.');
  const inside = await Promise.race([once(holder.stdout, 'data'), closed.then(() => undefined)]);
  if (inside === undefined)
    throw new Error(complaint.trim() === '' ? 'unshare --net failed' : complaint.trim());
  return {
    run: (program, ...args) =>
      runProgram('nsenter', [`--net=/proc/${holder.pid ?? 0}/ns/net`, '--', program, ...args]),
    close: async () => {
      holder.stdin.destroy();
      await closed;
    },
  };
}
