#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Makes a fresh clone ready: installs what is missing, and only that, saying on stderr what and why. Runs with nothing
// installed but Node. Alone: node scripts/setup.mjs

import { fileURLToPath } from 'node:url';
import { ensureAddon, ensureBuilt, ensureNpmPackages } from './build.mjs';
import { ensureDebianPackages } from './debian.mjs';
import { withSetupLock } from './lock.mjs';
import { Refusal, cleanUpOnSignals, failWith } from './say.mjs';

const NODE_WANTED = [20, 20];

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_WANTED[0] || (major === NODE_WANTED[0] && minor >= NODE_WANTED[1])) return;
  throw new Refusal(`wanted Node ${NODE_WANTED.join('.')} or newer, got ${process.versions.node}`);
}

const NEEDS = {
  demo: { debian: ['testbed'], build: true },
  test: { debian: ['testbed', 'tests'], build: true },
  qemu: { debian: ['testbed', 'qemuBuild'], build: true },
  contract: { debian: [], build: true },
  unit: { debian: [], build: false },
};

/**
 * Installs and builds what is missing for a purpose: `demo`, `test` (all of it), `qemu` (to build one), `contract` or `unit`.
 * @throws Refusal when something is missing that cannot be installed here; nothing half-made is left
 */
export async function ensureReady({ for: purpose }) {
  checkNode();
  cleanUpOnSignals();
  const { debian, build } = NEEDS[purpose];
  await withSetupLock(async () => {
    if (debian.length > 0) await ensureDebianPackages(debian);
    await ensureNpmPackages();
    await ensureAddon();
    if (build) await ensureBuilt();
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await ensureReady({ for: 'demo' }).catch(failWith);
