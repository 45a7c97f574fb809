// SPDX-License-Identifier: Apache-2.0
// A cache of built directories, each named by the hash of what it was built from. An entry appears whole by one rename
// or not at all; two builders of the same entry do not disturb each other.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { ImageError } from '../errors.ts';

/** Longest time for one step: a download, a compilation. */
export const BUILD_TIMEOUT_MS = 300_000;

export interface BuildOptions {
  /** Where built things are kept; `defaultCacheDir()` when absent. */
  readonly cacheDir?: string;
  readonly onProgress?: (line: string) => void;
}

/** `$XDG_CACHE_HOME/slackwater`, or `~/.cache/slackwater`. */
export function defaultCacheDir(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'slackwater');
}

/** The repository's `native/` folder, found from where this file lies (in `testbed/` or in `dist/testbed/`). */
export function nativeDir(): string {
  for (let dir = import.meta.dirname; dir !== '/'; dir = join(dir, '..')) {
    const candidate = join(dir, 'native');
    if (existsSync(join(candidate, 'guest', 'Makefile'))) return candidate;
  }
  throw new ImageError(`no folder native/guest above ${import.meta.dirname}`, {
    remedy: 'run the test bed from a checkout of the repository',
  });
}

/** A hash over texts and over all files (names and contents) below the folders. */
export async function hashOfInputs(
  texts: readonly string[],
  folders: readonly string[] = [],
): Promise<string> {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}:${text}`);
  for (const folder of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) {
      const content = await readFile(file);
      hash.update(`${relative(folder, file)}:${content.length}:`).update(content);
    }
  }
  return hash.digest('hex').slice(0, 16);
}

/** Removes what builders left that were killed: their process is in the directory's name and no longer exists. */
async function sweepAbandoned(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1];
    if (pid === undefined) continue;
    if (!existsSync(`/proc/${pid}`)) await rm(join(cacheDir, name), { recursive: true, force: true });
  }
}

/**
 * The directory `entry` in the cache, whose name holds the hash of what it is built from; built by `build` in a directory
 * of its own when it does not exist. On rejection the cache is unchanged.
 */
export async function ensureCached(
  cacheDir: string,
  entry: string,
  build: (dir: string) => Promise<void>,
): Promise<string> {
  const finalDir = join(cacheDir, entry);
  if (existsSync(finalDir)) return finalDir;
  await mkdir(cacheDir, { recursive: true });
  await sweepAbandoned(cacheDir);
  const workDir = await mkdtemp(join(cacheDir, `.building-${process.pid}-`));
  try {
    await chmod(workDir, 0o755);
    await build(workDir);
    await rename(workDir, finalDir);
  } catch (error) {
    // Another builder may have been first: its result is as good as ours.
    const wasFirst = (error as NodeJS.ErrnoException).code === 'ENOTEMPTY' && existsSync(finalDir);
    if (!wasFirst) throw error;
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  return finalDir;
}
