#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run demo`: makes this clone ready, then runs `slackwater-testbed demo` in its place.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  await ensureReady({ for: 'demo' });
  const main = join(import.meta.dirname, '..', 'dist', 'testbed', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'demo', ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches both of us from the terminal: the demo cleans up, we wait. The others come to us alone.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (...how) => resolve(how));
  });
  process.exitCode = code ?? 128 + constants.signals[signal];
} catch (error) {
  failWith(error);
}
