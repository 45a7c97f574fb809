// SPDX-License-Identifier: Apache-2.0
// How the scripts start programs and talk: everything goes to stderr, stdout belongs to the command that is run.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Something is missing that this script may not or cannot install. Exit code 3: nothing was changed. */
export class Refusal extends Error {}

/** Ended by Ctrl-C or SIGTERM. */
export class Interrupted extends Error {}

export function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

// sbin may be missing from a user's PATH, and tools of ours live there.
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` };

/** Stdout of a short command; undefined when it is not there or fails. */
export function outputOf(program, ...args) {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return result.status === 0 ? result.stdout : undefined;
}

export function hasCommand(program) {
  return spawnSync(program, ['--help'], { env: environment, stdio: 'ignore' }).error === undefined;
}

/** Where the first of these programs lies that is on the PATH; undefined when none is. */
export function findCommand(...programs) {
  const folders = environment.PATH.split(':');
  return programs.flatMap((program) => folders.map((folder) => join(folder, program))).find(existsSync);
}

let stopSignal;

/** From now on Ctrl-C and SIGTERM end the running program, and the script cleans up before it ends. */
export function cleanUpOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (stopSignal ??= signal));
}

/** Runs a program with its output on stderr. Rejects unless it exits with 0. */
export async function runLoudly(argv, { env = {}, cwd } = {}) {
  if (stopSignal !== undefined) throw new Interrupted();
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 2, 2], env: { ...environment, ...env }, cwd });
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
  try {
    const [code, signal] = await new Promise((resolve, reject) => {
      child.on('error', reject).on('exit', (...how) => resolve(how));
    });
    if (stopSignal !== undefined) throw new Interrupted();
    if (code !== 0)
      throw new Error(`${argv.join(' ')} ended with ${code === null ? signal : `exit code ${code}`}`);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, forward);
  }
}

/** Sets the exit code for what a script threw, and says it. */
export function failWith(error) {
  if (error instanceof Interrupted) {
    say('interrupted; nothing half-made is left');
    process.exitCode = 130;
    return;
  }
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = error instanceof Refusal ? 3 : 1;
}
