// SPDX-License-Identifier: Apache-2.0
// Which shared libraries a program needs (DT_NEEDED, and theirs in turn), found in Debian packages that are unpacked as
// they turn out to be needed.

import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { ImageError } from '../errors.ts';
import { run } from '../process.ts';
import type { DebianPackage } from './debian-packages.ts';

/** The libraries that a program or library names itself. @throws ProcessError */
async function neededBy(path: string): Promise<string[]> {
  const { stdout } = await run(['readelf', '--dynamic', '--wide', path]);
  return [...stdout.matchAll(/\(NEEDED\).*\[([^\]]+)\]/g)].map(([, soname = '']) => soname);
}

/** Lower-case letters and digits, without a leading "lib": "libIPSec_MB.so.1" and "libipsec-mb1" are both "ipsecmb1". */
function essence(name: string): string {
  return name
    .toLowerCase()
    .replace('.so', '')
    .replaceAll(/[^a-z0-9]/g, '')
    .replace(/^lib/, '');
}

function commonPrefixLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** The packages in the order in which a library is to be looked for: Debian names them after what they hold, mostly. */
export function likelyPackages(soname: string, packages: readonly DebianPackage[]): DebianPackage[] {
  const wanted = essence(soname);
  const likeness = new Map(packages.map((each) => [each, commonPrefixLength(wanted, essence(each.name))]));
  return [...packages].sort((a, b) => (likeness.get(b) ?? 0) - (likeness.get(a) ?? 0));
}

/** Where a file of that name lies below `tree`, the shallowest place (variants for newer CPUs lie deeper). */
async function findFile(tree: string, name: string): Promise<string | undefined> {
  const paths = (await readdir(tree, { recursive: true }))
    .filter((path) => basename(path) === name)
    .sort((a, b) => a.split(sep).length - b.split(sep).length);
  for (const path of paths) {
    // A link may lead out of the tree, to the same path on this machine: that is another file.
    const real = await realpath(join(tree, path)).catch(() => undefined);
    if (real?.startsWith(`${tree}${sep}`) === true && (await lstat(real)).isFile()) return real;
  }
  return undefined;
}

/**
 * All libraries that the programs need, as soname and file, but for those that are `present` where they will run. `unpack`
 * is asked for one package after the other until each library is found below `tree`.
 * @throws ImageError when a library is in none of them; ProcessError
 */
export async function collectLibraries(
  tree: string,
  programs: readonly string[],
  packages: readonly DebianPackage[],
  unpack: (package_: DebianPackage) => Promise<void>,
  present: ReadonlySet<string> = new Set(),
): Promise<Map<string, string>> {
  const root = await realpath(tree);
  const waiting = new Set(packages);
  const libraries = new Map<string, string>();
  const queue = [...programs];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const soname of await neededBy(file)) {
      if (libraries.has(soname) || present.has(soname)) continue;
      let path = await findFile(root, soname);
      for (const candidate of likelyPackages(soname, [...waiting])) {
        if (path !== undefined) break;
        waiting.delete(candidate);
        await unpack(candidate);
        path = await findFile(root, soname);
      }
      if (path === undefined) {
        throw new ImageError(`${basename(file)} needs ${soname}, which is in none of its packages`, {
          remedy: `looked in: ${packages.map(({ name }) => name).join(', ')}`,
        });
      }
      libraries.set(soname, path);
      queue.push(path);
    }
  }
  return libraries;
}
