// SPDX-License-Identifier: Apache-2.0
// One setup at a time. The lock is held by a child that lives as long as its stdin is open, so it is free again however
// this process ends.

import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { say } from './say.mjs';

const SAY_WAITING_AFTER_MS = 1000;

/** Runs `work` while no other setup of this user runs. */
export async function withSetupLock(work) {
  const path = join(tmpdir(), `slackwater-setup-${process.getuid?.() ?? 0}.lock`);
  const holder = spawn('flock', [path, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const waiting = setTimeout(() => say('waiting for another setup to finish'), SAY_WAITING_AFTER_MS);
  try {
    // `cat` gives the byte back as soon as it runs, which is when the lock is ours.
    await new Promise((resolve, reject) => {
      holder.on('error', reject).on('exit', () => reject(new Error(`cannot lock ${path}`)));
      holder.stdout.once('data', resolve);
      holder.stdin.on('error', () => undefined).write('.');
    });
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.destroy();
  }
}
