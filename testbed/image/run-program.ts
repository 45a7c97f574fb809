// SPDX-License-Identifier: Apache-2.0
// Runs a program from an argument vector, never through a shell, and says clearly when it is missing or fails.

import { spawn } from 'node:child_process';
import { ProgramError } from './errors.ts';

/** Debian packages of the programs that building and measuring need. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  'apt-cache': 'apt',
  'apt-get': 'apt',
  busybox: 'busybox-static',
  cpio: 'cpio',
  depmod: 'kmod',
  'dpkg-deb': 'dpkg',
  gcc: 'gcc libc6-dev',
  ip: 'iproute2',
  make: 'make',
};

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** The environment for programs: depmod and others live in sbin, which a user's PATH may lack. */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
}

/** A ProgramError for a program that cannot be started, naming the package that has it. */
export function cannotStart(program: string, cause: unknown): ProgramError {
  const packageName = PACKAGE_OF[program];
  return new ProgramError(
    `cannot start ${program}: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      cause,
      ...(packageName === undefined ? {} : { remedy: `apt-get install ${packageName}` }),
    },
  );
}

/** Standard output of a program that ended with 0. @throws ProgramError */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const timeoutMs = options.timeoutMs ?? 300_000;
  return await new Promise<string>((resolve, reject) => {
    const child = spawn(program, args, {
      env: programEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A program that ends without reading its input is judged by its exit status, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => reject(cannotStart(program, error)));
    child.on('close', (status, signal) => {
      if (status === 0) {
        resolve(Buffer.concat(stdout).toString('utf8'));
        return;
      }
      const tail = Buffer.concat(stderr).toString('utf8').trim().slice(-2000);
      const how =
        signal === null ? `status ${status ?? -1}` : `signal ${signal} (time limit ${timeoutMs} ms)`;
      reject(new ProgramError(`${[program, ...args].join(' ')} ended with ${how}: ${tail}`));
    });
  });
}
