#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run demo`: makes this clone ready, then runs `slackwater-testbed demo` in its place.

import { join } from 'node:path';
import { runInPlace } from './in-place.mjs';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  await ensureReady({ for: 'demo' });
  const main = join(import.meta.dirname, '..', 'dist', 'testbed', 'cli', 'main.js');
  process.exitCode = await runInPlace([main, 'demo', ...process.argv.slice(2)]);
} catch (error) {
  failWith(error);
}
