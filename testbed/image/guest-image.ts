// SPDX-License-Identifier: Apache-2.0
// The test guest: Debian's kernel and an initramfs with busybox, the virtio modules and our own static programs.

import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildOptions } from './build-cache.ts';
import { BUILD_TIMEOUT_MS, defaultCacheDir, ensureCached, hashOfInputs, nativeDir } from './build-cache.ts';
import { packInitramfs } from './cpio.ts';
import { ImageError } from '../errors.ts';
import { ensureGuestKernel } from './guest-kernel.ts';
import { run } from '../process.ts';

/** What the guest's init script and the applications' scripts call; the rest of it are the shell's own commands. */
const APPLETS = [
  'sh',
  'cat',
  'dd',
  'grep',
  'gzip',
  'insmod',
  'ip',
  'mkdir',
  'mount',
  'renice',
  'rm',
  'sed',
  'sha256sum',
  'sleep',
  'sort',
  'tr',
  'wc',
];
const BUSYBOX = '/bin/busybox';

export interface GuestImage {
  readonly kernelPath: string;
  readonly initramfsPath: string;
  readonly kernelVersion: string;
}

function noBusybox(cause: unknown): never {
  throw new ImageError(`cannot read ${BUSYBOX}`, { cause, remedy: 'apt-get install busybox-static' });
}

async function stageTree(root: string, guestSources: string, modulesDir: string): Promise<void> {
  for (const dir of ['bin', 'programs', 'proc', 'sys', 'dev', 'tmp', 'run'])
    await mkdir(join(root, dir), { recursive: true });
  await run(['make', '-s', '-C', guestSources, `OUT=${join(root, 'programs')}`], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  await copyFile(BUSYBOX, join(root, 'bin', 'busybox'));
  for (const applet of APPLETS) await symlink('busybox', join(root, 'bin', applet));
  await cp(modulesDir, join(root, 'modules'), { recursive: true });
  await copyFile(join(guestSources, 'init'), join(root, 'init'));
  await chmod(join(root, 'init'), 0o755);
  await cp(join(guestSources, 'apps'), join(root, 'apps'), { recursive: true });
  for (const script of await readdir(join(root, 'apps'))) await chmod(join(root, 'apps', script), 0o755);
}

/**
 * The guest's kernel and initramfs, built when the cache has none from these sources, this kernel package, this busybox
 * and this compiler. On rejection the cache holds nothing half-made. @throws ImageError, ProcessError
 */
export async function ensureGuestImage(options: BuildOptions = {}): Promise<GuestImage> {
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const onProgress = options.onProgress ?? (() => undefined);
  const guestSources = join(nativeDir(), 'guest');
  const kernel = await ensureGuestKernel(cacheDir, onProgress);
  const versions = [
    kernel.kernelVersion,
    kernel.kernelPath,
    (await run(['gcc', '--version'])).stdout,
    await hashOfInputs([await readFile(BUSYBOX, 'latin1').catch(noBusybox)]),
    ...APPLETS,
  ];
  const key = await hashOfInputs(versions, [guestSources]);
  const dir = await ensureCached(cacheDir, `guest-image-${key}`, async (workDir) => {
    onProgress('building the guest image');
    const root = join(workDir, 'root');
    await stageTree(root, guestSources, kernel.modulesDir);
    await packInitramfs(root, join(workDir, 'initramfs'));
    await writeFile(join(workDir, 'kernel-version'), kernel.kernelVersion);
    await rm(root, { recursive: true });
  });
  return {
    kernelPath: kernel.kernelPath,
    initramfsPath: join(dir, 'initramfs'),
    kernelVersion: kernel.kernelVersion,
  };
}
