// SPDX-License-Identifier: Apache-2.0
// The npm packages, the TypeScript build and the native addon: made when they are absent or older than what they are made from.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hasCommand, Interrupted, runLoudly, say } from './say.mjs';

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

/** Whether dist/ is what `ensureBuilt` would make, with the packages that it needs. */
export function isBuilt() {
  return (
    existsSync(installedMark) && existsSync(builtMark) && readFileSync(builtMark, 'utf8') === hashOfSources()
  );
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

const addonSources = join(root, 'native', 'addon');
const addonOut = join(addonSources, 'build');
const addonMark = join(addonOut, '.built-from');

/** Builds the native addon when its sources have changed. Where there is no compiler, plain JavaScript serves. */
export async function ensureAddon() {
  const hash = createHash('sha256');
  for (const name of readdirSync(addonSources)
    .filter((each) => /\.(cc|h)$|^Makefile$/.test(each))
    .sort()) {
    hash.update(`${name}\0`).update(readFileSync(join(addonSources, name)));
  }
  const wanted = hash.update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  if (existsSync(addonMark) && readFileSync(addonMark, 'utf8') === wanted) return;
  if (!hasCommand('g++') || !hasCommand('make')) {
    say('there is no g++: the native addon is not built, plain JavaScript serves in its place');
    return;
  }
  say('building the native addon');
  rmSync(addonOut, { recursive: true, force: true });
  mkdirSync(addonOut);
  const variables = [`OUT=${addonOut}`, `NODE_MODULES=${join(root, 'node_modules')}`];
  try {
    await runLoudly(['make', '-s', '-C', addonSources, ...variables]);
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    say(`the native addon does not build here, plain JavaScript serves in its place: ${error.message}`);
    rmSync(addonOut, { recursive: true, force: true });
    return;
  }
  writeFileSync(addonMark, wanted);
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
