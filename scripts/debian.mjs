// SPDX-License-Identifier: Apache-2.0
// The Debian packages that the testbed needs: which, why, whether they are there, and how they are installed.

import {
  existsSync,
  openSync,
  readFileSync,
  readSync,
  closeSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { findSourceEntry, stanzaFor } from './debian-sources.mjs';
import { Refusal, findCommand, hasCommand, outputOf, runLoudly, say } from './say.mjs';

const QEMU_MAJOR = 10;
// The package behind the guests' kernel; its name must be known to apt.
const GUEST_KERNEL = 'linux-image-cloud-amd64';
const BACKPORTS_FILE = '/etc/apt/sources.list.d/slackwater-backports.sources';

/** Name, what it is for, and a probe that asks for the thing itself rather than for the package. */
const PACKAGES = [
  ['gcc', 'compiles the programs inside test guests', () => hasCommand('gcc')],
  ['g++', 'compiles the native addon', () => hasCommand('g++')],
  ['make', 'compiles the programs inside test guests', () => hasCommand('make')],
  ['libc6-dev', 'static libc for the programs inside test guests', hasStaticLibc],
  ['busybox-static', 'is the userland of test guests', () => isStatic('/bin/busybox')],
  ['cpio', 'packs the initramfs of test guests', () => hasCommand('cpio')],
  ['kmod', 'orders the kernel modules of test guests', () => hasCommand('depmod')],
  ['iproute2', 'makes namespaces and links', () => hasCommand('ip') && hasCommand('tc')],
  ['nftables', 'counts who uses a NIC', () => hasCommand('nft')],
  ['iperf3', "measures a link's goodput", () => hasCommand('iperf3')],
];

/** What the tests need besides. Their sshd is unpacked by themselves: installing one would start a daemon. */
const TEST_PACKAGES = [
  ['openssh-client', 'reaches monitors on other hosts', () => hasCommand('ssh') && hasCommand('ssh-keygen')],
  ['chromium-headless-shell', 'draws the reports of experiments', () => findChromium() !== undefined],
];

/** What building the patched QEMU needs besides. */
const QEMU_BUILD_PACKAGES = [
  ['ninja-build', 'builds the patched QEMU', () => hasCommand('ninja')],
  ['flex', 'builds the patched QEMU', () => hasCommand('flex')],
  ['bison', 'builds the patched QEMU', () => hasCommand('bison')],
  ['git', 'applies the patch series', () => hasCommand('git')],
  ['xz-utils', 'unpacks the source of QEMU', () => hasCommand('xz')],
  ['pkg-config', 'finds the libraries of QEMU', () => hasCommand('pkg-config')],
  ['libglib2.0-dev', 'is a library of QEMU', () => hasLibrary('glib-2.0')],
  ['libpixman-1-dev', 'is a library of QEMU', () => hasLibrary('pixman-1')],
  ['libfdt-dev', 'is a library of QEMU', () => existsSync('/usr/include/libfdt.h')],
  ['zlib1g-dev', 'is a library of QEMU', () => hasLibrary('zlib')],
  ['python3-venv', 'configures QEMU', () => hasPythonModule('ensurepip')],
  ['meson', 'configures QEMU', hasMeson],
  ['python3-pycotap', 'configures QEMU', () => hasPythonModule('pycotap')],
];
const MESON_WANTED = [1, 5];
// bookworm's own are too old.
const FROM_BACKPORTS = new Set(['meson', 'python3-pycotap']);

function hasLibrary(name) {
  return outputOf('pkg-config', '--exists', name) !== undefined;
}

function hasPythonModule(name) {
  return outputOf('/usr/bin/python3', '-c', `import ${name}`) !== undefined;
}

function hasMeson() {
  const [major, minor] = (outputOf('/usr/bin/meson', '--version') ?? '0.0').split('.').map(Number);
  return major > MESON_WANTED[0] || (major === MESON_WANTED[0] && minor >= MESON_WANTED[1]);
}

/** A Chromium of this machine, headless or not; undefined when there is none. */
export function findChromium() {
  return findCommand('chromium', 'chromium-headless-shell', 'google-chrome');
}

function hasStaticLibc() {
  return outputOf('gcc', '-print-file-name=libc.a')?.startsWith('/') === true;
}

/** Whether an ELF file of 64 bits names no interpreter among its program headers. */
export function isStatic(path) {
  if (!existsSync(path)) return false;
  const bytes = Buffer.alloc(4096);
  const file = openSync(path, 'r');
  const length = readSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
  if (length < 64 || bytes.toString('latin1', 1, 4) !== 'ELF') return false;
  const [start, size, count] = [
    Number(bytes.readBigUInt64LE(32)),
    bytes.readUInt16LE(54),
    bytes.readUInt16LE(56),
  ];
  const PT_INTERP = 3;
  return Array.from({ length: count }, (_, i) => start + i * size)
    .filter((offset) => offset + 4 <= length)
    .every((offset) => bytes.readUInt32LE(offset) !== PT_INTERP);
}

function qemuVersion() {
  return /version (\d+)\.\S+/.exec(outputOf('qemu-system-x86_64', '--version') ?? '');
}

function hasQemu() {
  return Number(qemuVersion()?.[1] ?? 0) >= QEMU_MAJOR;
}

const PACKAGES_FOR = { testbed: PACKAGES, tests: TEST_PACKAGES, qemuBuild: QEMU_BUILD_PACKAGES };

/**
 * Installs what is missing, and only that. `purposes`: of `testbed`, `tests`, `qemuBuild`.
 * @throws Refusal when it may not or cannot
 */
export async function ensureDebianPackages(purposes) {
  const packages = purposes.flatMap((purpose) => PACKAGES_FOR[purpose]);
  const missing = packages.filter(([, , isThere]) => !isThere());
  const needsQemu = !hasQemu();
  const needsIndex = outputOf('apt-cache', 'show', GUEST_KERNEL) === undefined;
  if (missing.length === 0 && !needsQemu && !needsIndex) return;

  const names = [
    ...missing.map(([name]) => name),
    ...(needsQemu ? [`qemu-system-x86 (>= ${QEMU_MAJOR}.0)`] : []),
  ];
  const what = names.length > 0 ? names.join(', ') : `apt's package index (for the kernel of test guests)`;
  if (!hasCommand('apt-get')) refuse(what, 'there is no apt-get');
  if (process.getuid() !== 0) refuse(what, 'only root may install it');

  if (names.length === 0) say(`reading apt's package index (the kernel of test guests comes from there)`);
  const isNew = ([name]) => FROM_BACKPORTS.has(name);
  const wantsNew = needsQemu || missing.some(isNew);
  const backports = wantsNew && releaseCodename() === 'bookworm' ? 'bookworm-backports' : undefined;
  const addedFile = backports === undefined ? undefined : addSuite(backports);
  const fromBackports = backports === undefined ? [] : ['-t', backports];
  try {
    await apt('update');
    for (const [name, why] of missing) say(`installing ${name} (${why})`);
    for (const [options, group] of [
      [[], missing.filter((entry) => !isNew(entry))],
      [fromBackports, missing.filter(isNew)],
    ]) {
      if (group.length > 0) await aptInstall([...options, ...group.map(([name]) => name)]);
    }
    if (needsQemu) {
      say(
        `installing qemu-system-x86 (QEMU ${QEMU_MAJOR}.0 runs the guests)${backports ? ` from ${backports}` : ''}`,
      );
      await aptInstall([...fromBackports, 'qemu-system-x86']);
      if (!hasQemu()) refuse(what, `this release installs QEMU ${qemuVersion()?.[0] ?? '(none)'}`);
    }
  } catch (error) {
    if (addedFile !== undefined) rmSync(addedFile, { force: true });
    throw error;
  }
  const still = packages.filter(([, , isThere]) => !isThere()).map(([name]) => name);
  if (still.length > 0) refuse(still.join(', '), 'it was installed and still does not work');
}

function refuse(what, because) {
  throw new Refusal(`missing: ${what}; ${because}\n  what each is for and how to get it: slackwater doctor`);
}

function releaseCodename() {
  return /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
}

/** Adds a suite from this machine's own Debian source; its file, or undefined when apt knows the suite already. */
function addSuite(suite) {
  const directory = '/etc/apt/sources.list.d';
  const names = existsSync(directory)
    ? readdirSync(directory).filter((name) => /\.(list|sources)$/.test(name))
    : [];
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(directory, name))].filter(existsSync);
  const files = paths.map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  if (findSourceEntry(files, suite) !== undefined) return undefined;
  const entry = findSourceEntry(files, suite.replace(/-.*/, ''));
  if (entry === undefined)
    refuse(`a source for ${suite}`, `apt's source files name no Debian to copy it from`);
  say(`adding the suite ${suite} in ${BACKPORTS_FILE}`);
  writeFileSync(BACKPORTS_FILE, stanzaFor(entry, suite), { mode: 0o644 });
  return BACKPORTS_FILE;
}

async function apt(...args) {
  await runLoudly(['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  });
}

async function aptInstall(args) {
  await apt('install', '-y', '--no-install-recommends', ...args);
}
