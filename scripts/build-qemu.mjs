#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run build:qemu`: builds the QEMU with this project's patch series into the cache and prints where it is.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  await ensureReady({ for: 'qemu' });
  const file = join(import.meta.dirname, '..', 'testbed', 'cli', 'main.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', file, 'build-qemu'], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (code) => resolve(code ?? 1));
  });
} catch (error) {
  failWith(error);
}
