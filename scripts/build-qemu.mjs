#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run build:qemu`: builds the QEMU with this project's patch series into the cache and prints where it is.

import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { runInPlace } from './in-place.mjs';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

const testbed = join(import.meta.dirname, '..', 'dist', 'testbed');

// What was built before is found at once, without asking Debian for anything.
async function findBuilt() {
  if (!isBuilt()) return undefined;
  const { findPatchedQemu } = await import(join(testbed, 'image', 'index.js'));
  return findPatchedQemu();
}

try {
  const path = await findBuilt();
  if (path === undefined) {
    await ensureReady({ for: 'qemu' });
    process.exitCode = await runInPlace([join(testbed, 'cli', 'main.js'), 'build-qemu']);
  } else {
    process.stdout.write(`${path}\n`);
  }
} catch (error) {
  failWith(error);
}
