#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run build:qemu`: builds the QEMU with this project's patch series into the cache and prints where it is.

import { join } from 'node:path';
import { runInPlace } from './in-place.mjs';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  await ensureReady({ for: 'qemu' });
  const main = join(import.meta.dirname, '..', 'dist', 'testbed', 'cli', 'main.js');
  process.exitCode = await runInPlace([main, 'build-qemu']);
} catch (error) {
  failWith(error);
}
