#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run bench:NAME`: makes this clone ready, then runs bench/NAME.ts.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  const [name, ...args] = process.argv.slice(2);
  await ensureReady({ for: 'demo' });
  const file = join(import.meta.dirname, '..', 'bench', `${name}.ts`);
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (code) => resolve(code ?? 1));
  });
} catch (error) {
  failWith(error);
}
