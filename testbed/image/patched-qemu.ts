// SPDX-License-Identifier: Apache-2.0
// A QEMU with the project's patch series, built into the cache from Debian's upstream tarball.

import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ImageError } from '../errors.ts';
import { type Argv, run, startLongLived } from '../process.ts';
import { type BuildOptions, defaultCacheDir, ensureCached, hashOfInputs, nativeDir } from './build-cache.ts';
import { DebianSource, type SourceTarball } from './debian-source.ts';

export interface QemuRecipe {
  readonly source: string;
  readonly suites: readonly string[];
  /** Beginnings of versions, the best first. */
  readonly versions: readonly string[];
  readonly configure: readonly string[];
}

const BINARY = join('bin', 'qemu-system-x86_64');
/** Longest time of a step: built in minutes, but the tests build it behind everything else, where configuring took more than five. */
const STEP_TIMEOUT_MS = 3_600_000;

function qemuDir(): string {
  return join(nativeDir(), 'qemu');
}

function patchesDir(): string {
  return join(qemuDir(), 'patches');
}

export async function readRecipe(): Promise<QemuRecipe> {
  return JSON.parse(await readFile(join(qemuDir(), 'recipe.json'), 'utf8')) as QemuRecipe;
}

/** The paths of the series, in the order of application. */
export async function patchSeries(): Promise<string[]> {
  const names = (await readdir(patchesDir())).filter((name) => name.endsWith('.patch'));
  return names.sort().map((name) => join(patchesDir(), name));
}

/** The tarball to build from: the first version wanted that there is, and of several the newest. @throws ImageError */
export function chooseTarball(
  { source, suites, versions }: QemuRecipe,
  tarballs: readonly SourceTarball[],
): SourceTarball {
  for (const wanted of versions) {
    const found = tarballs
      .filter(({ version }) => version.startsWith(wanted))
      .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));
    const best = found.at(-1);
    if (best !== undefined) return best;
  }
  const got = tarballs.map(({ version }) => version).join(', ');
  throw new ImageError(
    `wanted ${source} ${versions.join(' or ')} in ${suites.join(', ')}, got ${got || 'none'}`,
  );
}

// What was built last from this series and recipe: found without asking apt.
async function pointerPath(cacheDir: string): Promise<string> {
  const recipe = await readFile(join(qemuDir(), 'recipe.json'), 'utf8');
  return join(cacheDir, 'qemu', `of-${await hashOfInputs([recipe], [patchesDir()])}`);
}

/** Path of the patched QEMU of this checkout's series; undefined where it was not built yet. */
export async function findPatchedQemu(cacheDir = defaultCacheDir()): Promise<string | undefined> {
  const pointer = await pointerPath(cacheDir);
  const target = await readlink(pointer).catch(() => undefined);
  const binary = target === undefined ? undefined : join(cacheDir, 'qemu', target, BINARY);
  return binary !== undefined && existsSync(binary) ? binary : undefined;
}

/**
 * Unpacks a tarball and applies the series to it.
 * @throws ImageError with the patch that does not apply; ProcessError
 */
export async function unpackPatched(tarballPath: string, sourceDir: string): Promise<void> {
  await mkdir(sourceDir, { recursive: true });
  await run(['tar', '-xJf', tarballPath, '-C', sourceDir, '--strip-components=1'], {
    timeoutMs: STEP_TIMEOUT_MS,
  });
  for (const patch of await patchSeries()) {
    // Outside of any repository: only the files count.
    await run(['git', 'apply', '--whitespace=nowarn', patch], {
      cwd: sourceDir,
      env: { GIT_CEILING_DIRECTORIES: join(sourceDir, '..') },
    }).catch((error: unknown) => {
      throw new ImageError(`${patch} does not apply`, { cause: error });
    });
  }
}

// The tarball is without firmware; the build wants these to be there, and nothing uses them.
const FIRMWARE_STANDINS = ['aarch64-code', 'arm-code', 'arm-vars', 'riscv-code', 'riscv-vars']
  .concat(['i386-code', 'i386-secure-code', 'i386-vars', 'x86_64-code', 'x86_64-secure-code'])
  .concat(['loongarch64-code', 'loongarch64-vars', 'x86_64-microvm'])
  .map((name) => `edk2-${name}.fd.bz2`);
// bzip2 of nothing.
const EMPTY_BZIP2 = Buffer.from('425a683917724538509000000000', 'hex');

function addFirmwareStandins(sourceDir: string): void {
  for (const name of FIRMWARE_STANDINS) {
    const path = join(sourceDir, 'pc-bios', name);
    if (!existsSync(path)) writeFileSync(path, EMPTY_BZIP2);
  }
}

/** Runs ninja, telling every tenth of its steps. */
async function compile(buildDir: string, onProgress: (line: string) => void): Promise<void> {
  const argv: Argv = ['ninja', '-C', buildDir, `-j${availableParallelism()}`, 'qemu-system-x86_64'];
  const ninja = await startLongLived(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => ninja.kill(), STEP_TIMEOUT_MS);
  const stop = (): void => void ninja.kill();
  process.on('exit', stop);
  let tail: string[] = [];
  let toldTenths = 0;
  const { stdout, stderr } = ninja.child;
  if (stdout === null || stderr === null) throw new ImageError('ninja has no output to read');
  stderr.setEncoding('utf8').on('data', (text: string) => (tail = [...tail, text].slice(-20)));
  for await (const line of createInterface({ input: stdout })) {
    tail = [...tail, line].slice(-20);
    const [, done, all] = /^\[(\d+)\/(\d+)\]/.exec(line) ?? [];
    const tenths = Math.floor((10 * Number(done)) / Number(all));
    if (tenths > toldTenths) {
      toldTenths = tenths;
      onProgress(`compiling QEMU: ${tenths * 10} %`);
    }
  }
  const { exitCode } = await ninja.exited;
  clearTimeout(timer);
  process.off('exit', stop);
  if (exitCode !== 0) throw new ImageError(`ninja failed:\n${tail.join('\n')}`);
}

async function build(recipe: QemuRecipe, tarballPath: string, dir: string, say: (line: string) => void) {
  const sourceDir = join(dir, 'source');
  const buildDir = join(sourceDir, 'build');
  say('unpacking and patching QEMU');
  await unpackPatched(tarballPath, sourceDir);
  addFirmwareStandins(sourceDir);
  await mkdir(buildDir);
  say('configuring QEMU');
  await run(['../configure', ...recipe.configure], { cwd: buildDir, timeoutMs: STEP_TIMEOUT_MS });
  await compile(buildDir, say);
  await mkdir(join(dir, 'bin'));
  await rename(join(buildDir, 'qemu-system-x86_64'), join(dir, BINARY));
  await run(['strip', '--strip-debug', join(dir, BINARY)]);
  await rm(sourceDir, { recursive: true });
}

/**
 * Path of the patched QEMU, `qemu/HASH/bin/qemu-system-x86_64` in the cache; built when the cache has none of this
 * tarball, series and configure line.
 * @throws ImageError, ProcessError
 */
export async function ensurePatchedQemu(options: BuildOptions = {}): Promise<string> {
  const { cacheDir = defaultCacheDir(), onProgress = () => undefined } = options;
  const known = await findPatchedQemu(cacheDir);
  if (known !== undefined) return known;
  const recipe = await readRecipe();
  const home = join(cacheDir, 'qemu');
  await mkdir(home, { recursive: true });
  const scratch = await mkdtemp(join(home, `.building-${process.pid}-`));
  try {
    onProgress(`looking up QEMU's source`);
    const source = await DebianSource.open(recipe.source, recipe.suites, scratch);
    const tarball = chooseTarball(recipe, source.tarballs);
    const key = await hashOfInputs([tarball.sha256, recipe.configure.join('\n')], [patchesDir()]);
    const built = await ensureCached(home, key, async (dir) => {
      onProgress(`downloading QEMU ${tarball.version}`);
      const downloads = join(scratch, 'download');
      await mkdir(downloads);
      await build(recipe, await source.download(tarball, downloads), dir, onProgress);
    });
    const pointer = await pointerPath(cacheDir);
    await rm(pointer, { force: true });
    await symlink(key, pointer);
    return join(built, BINARY);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
