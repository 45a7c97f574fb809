#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `npm run bench:NAME`: makes this clone ready, then runs bench/NAME.ts.

import { join } from 'node:path';
import { runInPlace } from './in-place.mjs';
import { failWith } from './say.mjs';
import { ensureReady } from './setup.mjs';

try {
  const [name, ...args] = process.argv.slice(2);
  await ensureReady({ for: 'demo' });
  const file = join(import.meta.dirname, '..', 'bench', `${name}.ts`);
  process.exitCode = await runInPlace(['--import', 'tsx', file, ...args]);
} catch (error) {
  failWith(error);
}
