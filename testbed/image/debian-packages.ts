// SPDX-License-Identifier: Apache-2.0
// Debian packages as a source of files: looked up, downloaded and unpacked, never installed.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../errors.ts';
import { run, type RunOptions, type RunResult } from '../process.ts';
import { BUILD_TIMEOUT_MS, defaultCacheDir } from './build-cache.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
}

const DEPENDENCIES_ONLY = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'];
// What a program links with is in packages of these names; services, scripts and languages are not followed.
const LIBRARY_PACKAGE = /^z?lib/;

/**
 * Asks apt's index. Where the system keeps no parsed form of it (as container images are set up), apt parses it for every question
 * anew, which takes a second: it keeps one in our cache, and finds out by itself when that is out of date.
 */
export async function askApt(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const dir = join(defaultCacheDir(), 'apt');
  await mkdir(dir, { recursive: true });
  return await run(
    ['apt-cache', '-o', `Dir::Cache::pkgcache=${join(dir, 'pkgcache.bin')}`, ...args],
    options,
  );
}

/** The one entry of a folder whose name matches. @throws ImageError */
export async function onlyEntry(dir: string, pattern: RegExp): Promise<string> {
  const names = (await readdir(dir)).filter((name) => pattern.test(name));
  if (names.length !== 1 || names[0] === undefined) {
    throw new ImageError(`wanted one ${String(pattern)} in ${dir}, got ${names.length}`);
  }
  return join(dir, names[0]);
}

/**
 * The packages themselves and the library packages that they depend on, the nearest first. `listing` is what
 * `apt-cache depends --recurse` prints: a package's name, and indented below it what it depends on.
 */
export function libraryClosure(roots: readonly string[], listing: string): string[] {
  const dependencies = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of listing.split('\n')) {
    const [, package_] = /^(\S+)$/.exec(line) ?? [];
    const [, dependency] = /^\s[ |]?(?:Pre)?Depends: ([^<\s]\S*)$/.exec(line) ?? [];
    if (package_ !== undefined) dependencies.set(package_, (current = []));
    else if (dependency !== undefined) current.push(dependency);
  }
  const found = new Set(roots);
  for (const name of found) {
    for (const other of dependencies.get(name) ?? []) if (LIBRARY_PACKAGE.test(other)) found.add(other);
  }
  // A package of another architecture ("libc6:i386"), or one that only others provide, has no entry of its own.
  return [...found].filter((name) => dependencies.has(name));
}

async function lookUp(roots: readonly string[]): Promise<DebianPackage[]> {
  // A name that apt does not know makes it fail after it has listed the others.
  const listing = await askApt(
    ['depends', '--recurse', ...DEPENDENCIES_ONLY.map((kind) => `--no-${kind}`), ...roots],
    { allowFailure: true },
  );
  const names = libraryClosure(roots, listing.stdout);
  const shown = await askApt(['show', '--no-all-versions', ...names], { allowFailure: true });
  const versions = new Map(
    shown.stdout.split('\n\n').flatMap((stanza): [string, string][] => {
      const [, name] = /^Package: (\S+)$/m.exec(stanza) ?? [];
      const [, version] = /^Version: (\S+)$/m.exec(stanza) ?? [];
      return name === undefined || version === undefined ? [] : [[name, version]];
    }),
  );
  const missing = roots.filter((root) => !versions.has(root));
  if (missing.length > 0) {
    throw new ImageError(`wanted the packages ${roots.join(', ')}, apt knows no ${missing.join(', ')}`, {
      remedy: 'apt-get update (Debian 12 or later, amd64, section main)',
    });
  }
  return names.flatMap((name) => {
    const version = versions.get(name);
    return version === undefined ? [] : [{ name, version }];
  });
}

// Asking apt takes half a second.
const lookedUp = new Map<string, Promise<DebianPackage[]>>();

/**
 * The library closure of some packages with the versions that apt would take, as they were when this process first asked.
 * @throws ImageError, ProcessError
 */
export async function findPackages(roots: readonly string[]): Promise<DebianPackage[]> {
  const key = roots.join(' ');
  const answer = lookedUp.get(key) ?? lookUp(roots);
  lookedUp.set(key, answer);
  try {
    return await answer;
  } catch (error) {
    lookedUp.delete(key);
    throw error;
  }
}

/** Downloads a package and unpacks its files into `tree`, beside what is there. @throws ImageError, ProcessError */
export async function unpackPackage(package_: DebianPackage, tree: string): Promise<void> {
  const { name, version } = package_;
  const downloadDir = `${tree}.download`;
  await mkdir(downloadDir);
  // apt's own unprivileged user cannot write here; what it downloads is checked against the signed index all the same.
  await run(['apt-get', '-o', 'APT::Sandbox::User=root', '-q', 'download', `${name}=${version}`], {
    cwd: downloadDir,
    timeoutMs: BUILD_TIMEOUT_MS,
  }).catch((error: unknown) => {
    throw new ImageError(`cannot download ${name} ${version}`, {
      cause: error,
      remedy: 'apt-get update, then again (the archive keeps the newest version only)',
    });
  });
  await run(['dpkg-deb', '-x', await onlyEntry(downloadDir, /\.deb$/), tree], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  await rm(downloadDir, { recursive: true });
}
