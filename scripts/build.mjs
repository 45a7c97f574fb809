// SPDX-License-Identifier: Apache-2.0
// The npm packages and the TypeScript build: made when they are absent or older than what they are made from.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLoudly, say } from './say.mjs';

const root = join(import.meta.dirname, '..');
// npm writes this last, so a node_modules that was left half-made has none.
const installedMark = join(root, 'node_modules', '.package-lock.json');
const builtMark = join(root, 'dist', '.built-from');

/** Runs `npm ci` when the installed packages are not those of package-lock.json. */
export async function ensureNpmPackages() {
  const lockMs = statSync(join(root, 'package-lock.json')).mtimeMs;
  if (existsSync(installedMark) && statSync(installedMark).mtimeMs >= lockMs) return;
  say('installing npm packages (npm ci: as package-lock.json says)');
  try {
    await runLoudly(['npm', 'ci', '--no-json', '--loglevel=error'], { cwd: root });
  } catch (error) {
    rmSync(join(root, 'node_modules'), { recursive: true, force: true });
    throw error;
  }
}

/** Builds dist/ when a source has changed; the new one replaces the old one whole, or not at all. */
export async function ensureBuilt() {
  const wanted = hashOfSources();
  if (existsSync(builtMark) && readFileSync(builtMark, 'utf8') === wanted) return;
  say('building dist/ (TypeScript sources have changed)');
  // Beside dist/, not below it: the source maps hold relative paths.
  for (const name of readdirSync(root)) {
    if (name.startsWith('dist-partial-')) rmSync(join(root, name), { recursive: true, force: true });
  }
  const partial = join(root, `dist-partial-${process.pid}`);
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  try {
    await runLoudly([process.execPath, compiler, '-p', 'tsconfig.build.json', '--outDir', partial], {
      cwd: root,
    });
    writeFileSync(join(partial, '.built-from'), wanted);
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    renameSync(partial, join(root, 'dist'));
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function hashOfSources() {
  const hash = createHash('sha256');
  const files = ['src', 'testbed']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
    )
    .filter((name) => /\.(ts|json)$/.test(name));
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', ...files.sort()]) {
    hash.update(`${name}\0`).update(readFileSync(join(root, name)));
  }
  return hash.digest('hex');
}
