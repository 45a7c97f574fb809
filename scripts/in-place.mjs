// SPDX-License-Identifier: Apache-2.0
// Runs another Node program in this one's place: same terminal, same signals, same way to end.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Resolves with the exit code that this process is to have. */
export async function runInPlace(nodeArgs) {
  const child = spawn(process.execPath, nodeArgs, { stdio: 'inherit' });
  // Ctrl-C reaches both of us from the terminal: the child cleans up, we wait. The others come to us alone.
  const pass = (signal) => child.kill(signal);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, pass);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (...how) => resolve(how));
  });
  return code ?? 128 + constants.signals[signal];
}
