// SPDX-License-Identifier: Apache-2.0
// The test guest with an application: the base image, and behind it a layer with Debian's program and exactly the shared
// libraries that it needs.

import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { AppName } from '../../src/experiment/index.ts';
import type { BuildOptions } from './build-cache.ts';
import { defaultCacheDir, ensureCached, hashOfInputs } from './build-cache.ts';
import { packInitramfs } from './cpio.ts';
import type { DebianPackage } from './debian-packages.ts';
import { findPackages, unpackPackage } from './debian-packages.ts';
import type { GuestImage } from './guest-image.ts';
import { collectLibraries } from './shared-libraries.ts';

interface AppContents {
  readonly packages: readonly string[];
  /** Paths in the packages; each becomes /usr/bin/NAME in the guest. */
  readonly programs: readonly string[];
}

const CONTENTS: Readonly<Record<AppName, AppContents>> = {
  redis: { packages: ['redis-server', 'redis-tools'], programs: ['usr/bin/redis-server'] },
  memcached: { packages: ['memcached'], programs: ['usr/bin/memcached'] },
  sysbench: { packages: ['sysbench'], programs: ['usr/bin/sysbench'] },
  fio: { packages: ['fio', 'e2fsprogs'], programs: ['usr/bin/fio', 'sbin/mke2fs'] },
  'stress-ng': { packages: ['stress-ng'], programs: ['usr/bin/stress-ng'] },
  // Busybox is all it needs.
  'build-mix': { packages: [], programs: [] },
};

const LIBRARY_DIR = 'lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';
// Counts up when the layout of a layer changes.
const LAYER_FORMAT = 1;

/** A program's place in the unpacked tree: Debian 13 has all of /sbin in /usr/sbin. */
async function programPath(tree: string, program: string): Promise<string> {
  const path = join(tree, program);
  return stat(path).then(
    () => path,
    () => join(tree, 'usr', program),
  );
}

async function stageLayer(
  workDir: string,
  { packages, programs }: AppContents,
  closure: readonly DebianPackage[],
): Promise<void> {
  const tree = join(workDir, 'tree');
  const root = join(workDir, 'root');
  const isOwn = ({ name }: DebianPackage): boolean => packages.includes(name);
  for (const dir of ['etc', 'lib64', 'usr/bin', LIBRARY_DIR])
    await mkdir(join(root, dir), { recursive: true });
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  await mkdir(tree);
  for (const own of closure.filter(isOwn)) await unpackPackage(own, tree);
  const binaries: string[] = [];
  for (const program of programs) {
    const binary = join(root, 'usr', 'bin', basename(program));
    await copyFile(await programPath(tree, program), binary);
    await chmod(binary, 0o755);
    binaries.push(binary);
  }
  const libraries = await collectLibraries(
    tree,
    binaries,
    closure.filter((each) => !isOwn(each)),
    (package_) => unpackPackage(package_, tree),
  );
  for (const [soname, path] of libraries) {
    const target = join(root, soname === LOADER ? 'lib64' : LIBRARY_DIR, soname);
    await copyFile(path, target);
    await chmod(target, 0o755);
  }
  await packInitramfs(root, join(workDir, 'layer'));
  for (const dir of [tree, root]) await rm(dir, { recursive: true });
}

async function ensureLayer(
  cacheDir: string,
  name: AppName,
  onProgress: (line: string) => void,
): Promise<string> {
  const contents = CONTENTS[name];
  const closure = await findPackages(contents.packages);
  const key = await hashOfInputs([
    `${LAYER_FORMAT}`,
    ...contents.programs,
    ...closure.map((each) => `${each.name}=${each.version}`),
  ]);
  return ensureCached(cacheDir, `guest-layer-${name}-${key}`, async (workDir) => {
    onProgress(`downloading ${contents.packages.join(', ')} and the libraries that they need`);
    await stageLayer(workDir, contents, closure);
  });
}

/**
 * The image of a guest that can run an application, out of a base image; built when the cache has none from this base and
 * these versions of the packages. On rejection the cache holds nothing half-made. @throws ImageError, ProcessError
 */
export async function ensureAppImage(
  base: GuestImage,
  name: AppName,
  options: BuildOptions = {},
): Promise<GuestImage> {
  if (CONTENTS[name].packages.length === 0) return base;
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const layerDir = await ensureLayer(cacheDir, name, options.onProgress ?? (() => undefined));
  const key = await hashOfInputs([basename(dirname(base.initramfsPath)), basename(layerDir)]);
  const dir = await ensureCached(cacheDir, `guest-image-${name}-${key}`, async (workDir) => {
    const parts = [await readFile(base.initramfsPath), await readFile(join(layerDir, 'layer'))];
    await writeFile(join(workDir, 'initramfs'), Buffer.concat(parts));
  });
  return { ...base, initramfsPath: join(dir, 'initramfs') };
}
