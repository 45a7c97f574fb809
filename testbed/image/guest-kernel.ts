// SPDX-License-Identifier: Apache-2.0
// The guest's kernel and the modules it needs, out of Debian's cloud kernel package. The package is unpacked, never
// installed.

import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureCached, hashOfInputs } from './build-cache.ts';
import type { DebianPackage } from './debian-packages.ts';
import { askApt, onlyEntry, unpackPackage } from './debian-packages.ts';
import { ImageError } from '../errors.ts';
import { run } from '../process.ts';

const META_PACKAGE = 'linux-image-cloud-amd64';
const WANTED_MODULES = ['virtio_pci', 'virtio_net', 'virtio_blk'];

export interface GuestKernel {
  readonly kernelPath: string;
  /** Holds the modules and a file `order` with one file name a line, in the order of loading. */
  readonly modulesDir: string;
  readonly kernelVersion: string;
}

/** The package that Debian's meta package stands for, and its version. @throws ImageError, ProcessError */
export async function findKernelPackage(): Promise<DebianPackage> {
  const depends = (await askApt(['depends', META_PACKAGE])).stdout;
  const name = /Depends:\s+(linux-image-\S+-cloud-amd64)/.exec(depends)?.[1];
  const shown = name === undefined ? '' : (await askApt(['show', '--no-all-versions', name])).stdout;
  const version = /^Version:\s*(\S+)/m.exec(shown)?.[1];
  if (name === undefined || version === undefined) {
    throw new ImageError(`apt knows no kernel behind the package ${META_PACKAGE}`, {
      remedy: 'apt-get update (Debian 12 or later, amd64)',
    });
  }
  return { name, version };
}

/**
 * The files of the wanted modules and of what they need, in the order of loading. `modulesDep` is depmod's file: each
 * line "module: what it needs", the last needed first.
 */
export function moduleLoadOrder(
  wanted: readonly string[],
  modulesDep: string,
  modulesBuiltin: string,
): string[] {
  const nameOf = (path: string): string =>
    basename(path)
      .replace(/\.ko(\.\w+)?$/, '')
      .replaceAll('-', '_');
  const builtin = new Set(modulesBuiltin.split('\n').map(nameOf));
  const needs = new Map<string, readonly string[]>();
  for (const line of modulesDep.split('\n')) {
    const [path, rest] = line.split(':');
    if (path === undefined || rest === undefined) continue;
    const others = rest
      .trim()
      .split(/\s+/)
      .filter((other) => other !== '');
    needs.set(nameOf(path), [...others.reverse(), path]);
  }
  const order = new Set<string>();
  for (const name of wanted) {
    if (builtin.has(name)) continue;
    const paths = needs.get(name);
    if (paths === undefined) throw new ImageError(`the guest's kernel has no module ${name}`);
    for (const path of paths) order.add(path);
  }
  return [...order];
}

async function unpackKernel(dir: string, kernel: DebianPackage): Promise<void> {
  const tree = join(dir, 'tree');
  await unpackPackage(kernel, tree);
  // Debian 13 has /usr/lib/modules, Debian 12 has /lib/modules.
  const modulesBase = await readdir(join(tree, 'lib', 'modules')).then(
    () => tree,
    () => join(tree, 'usr'),
  );
  const modulesTree = await onlyEntry(join(modulesBase, 'lib', 'modules'), /./);
  const release = basename(modulesTree);
  await run(['depmod', '-b', modulesBase, release]);
  const order = moduleLoadOrder(
    WANTED_MODULES,
    await readFile(join(modulesTree, 'modules.dep'), 'utf8'),
    await readFile(join(modulesTree, 'modules.builtin'), 'utf8'),
  );
  const modulesDir = join(dir, 'modules');
  await mkdir(modulesDir);
  for (const path of order) await copyFile(join(modulesTree, path), join(modulesDir, basename(path)));
  await writeFile(join(modulesDir, 'order'), order.map((path) => `${basename(path)}\n`).join(''));
  await copyFile(await onlyEntry(join(tree, 'boot'), /^vmlinuz-/), join(dir, 'vmlinuz'));
  await writeFile(join(dir, 'release'), release);
  await rm(tree, { recursive: true });
}

/** The kernel and its modules in the cache; downloads 27 MB when they are not there yet. */
export async function ensureGuestKernel(
  cacheDir: string,
  onProgress: (line: string) => void,
): Promise<GuestKernel> {
  const kernel = await findKernelPackage();
  const key = await hashOfInputs([kernel.name, kernel.version, ...WANTED_MODULES]);
  const dir = await ensureCached(cacheDir, `guest-kernel-${key}`, async (workDir) => {
    onProgress(`downloading ${kernel.name} ${kernel.version}`);
    await unpackKernel(workDir, kernel);
  });
  return {
    kernelPath: join(dir, 'vmlinuz'),
    modulesDir: join(dir, 'modules'),
    kernelVersion: await readFile(join(dir, 'release'), 'utf8'),
  };
}
