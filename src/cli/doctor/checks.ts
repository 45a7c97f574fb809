// SPDX-License-Identifier: Apache-2.0
// What Slackwater needs, as data. Controlling migrations needs Node alone; the rest is for the testbed on this machine.

import { accessSync, constants, existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { messageOf } from '../../common/index.ts';
import { KERNEL_CHECKS } from './kernel-checks.ts';
import type { Finding } from './probe.ts';
import { findProgram, runProgram } from './probe.ts';

/** `control`: to control migrations of QEMUs that run anyway. `testbed`: to run the demo and the tests. `info`: nice to know. */
export type Need = 'control' | 'testbed' | 'info';

export interface Check {
  readonly name: string;
  readonly neededFor: Need;
  readonly whatFor: string;
  readonly remedy: string;
  readonly probe: () => Promise<Finding>;
}

const NODE_WANTED = { major: 20, minor: 20 };
const QEMU_WANTED_MAJOR = 10;

/** Whether a version such as "20.20.2" is at least the one that is wanted. */
export function isAtLeast(
  version: string,
  wanted: { readonly major: number; readonly minor: number },
): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > wanted.major || (major === wanted.major && minor >= wanted.minor);
}

function probeNode(): Promise<Finding> {
  return Promise.resolve({
    ok: isAtLeast(process.versions.node, NODE_WANTED),
    found: `Node ${process.versions.node}`,
  });
}

/** The capabilities that root would have, from the CapEff line of /proc/self/status. */
export function hasNetAndSysAdmin(status: string): boolean {
  const CAP_NET_ADMIN = 12n;
  const CAP_SYS_ADMIN = 21n;
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return [CAP_NET_ADMIN, CAP_SYS_ADMIN].every((bit) => ((effective >> bit) & 1n) === 1n);
}

async function probeRoot(): Promise<Finding> {
  if (process.getuid?.() === 0) return { ok: true, found: 'root' };
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return hasNetAndSysAdmin(status)
    ? { ok: true, found: 'CAP_NET_ADMIN and CAP_SYS_ADMIN' }
    : { ok: false, found: 'an ordinary user' };
}

async function probeQemu(): Promise<Finding> {
  const { ok, found } = await findProgram('qemu-system-x86_64');
  const version = /version (\d+\.\d+\S*)/.exec(found)?.[1];
  if (ok !== true || version === undefined) return { ok: false, found };
  return { ok: isAtLeast(version, { major: QEMU_WANTED_MAJOR, minor: 0 }), found: `QEMU ${version}` };
}

async function probeStaticLibc(): Promise<Finding> {
  const { ok, stdout } = await runProgram('gcc', ['-print-file-name=libc.a']);
  const path = stdout.trim();
  if (!ok) return { ok: undefined, found: 'gcc, which would know, is not installed' };
  return path.startsWith('/') ? { ok: true, found: path } : { ok: false, found: 'no libc.a' };
}

/** Whether an ELF file of 64 bits names no interpreter among its program headers (given the start of the file). */
export function isStaticElf(bytes: Buffer): boolean {
  if (bytes.length < 64 || bytes.toString('latin1', 1, 4) !== 'ELF') return false;
  const PT_INTERP = 3;
  const [start, size, count] = [
    Number(bytes.readBigUInt64LE(32)),
    bytes.readUInt16LE(54),
    bytes.readUInt16LE(56),
  ];
  for (let offset = start; offset < start + size * count && offset + 4 <= bytes.length; offset += size) {
    if (bytes.readUInt32LE(offset) === PT_INTERP) return false;
  }
  return true;
}

async function probeBusybox(): Promise<Finding> {
  const path = '/bin/busybox';
  if (!existsSync(path)) return { ok: false, found: `no ${path}` };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    return isStaticElf(buffer.subarray(0, bytesRead))
      ? { ok: true, found: `${path}, static` }
      : { ok: false, found: `${path} is not static` };
  } finally {
    await file.close();
  }
}

async function probeIproute(): Promise<Finding> {
  const [ip, tc] = await Promise.all([findProgram('ip', '-V'), findProgram('tc', '-V')]);
  return ip.ok === true && tc.ok !== true ? tc : ip;
}

async function probeChromium(): Promise<Finding> {
  for (const name of ['chromium', 'chromium-headless-shell', 'google-chrome']) {
    const finding = await findProgram(name);
    if (finding.ok !== false) return finding;
  }
  return { ok: false, found: 'no chromium, chromium-headless-shell or google-chrome' };
}

function probeKvm(): Promise<Finding> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return Promise.resolve({
      ok: true,
      found: '/dev/kvm opens; the testbed finds out by trying whether a guest boots',
    });
  } catch (error) {
    return Promise.resolve({ ok: false, found: `${messageOf(error)}; guests run by emulation (TCG)` });
  }
}

const debian = (packageName: string) => `apt-get install ${packageName}`;

/** A program that one Debian package brings. */
function program(name: string, whatFor: string, packageName = name, command = name): Check {
  return {
    name,
    neededFor: 'testbed',
    whatFor,
    remedy: debian(packageName),
    probe: () => findProgram(command),
  };
}

export const CHECKS: readonly Check[] = [
  {
    name: 'node',
    neededFor: 'control',
    whatFor: 'Slackwater itself',
    remedy: `Node ${NODE_WANTED.major}.${NODE_WANTED.minor} or newer`,
    probe: probeNode,
  },
  {
    name: 'root',
    neededFor: 'testbed',
    whatFor: 'network namespaces and links of the testbed',
    remedy: 'run as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN',
    probe: probeRoot,
  },
  program('apt', 'installs what is missing; brings the kernel of test guests', 'apt', 'apt-get'),
  {
    name: 'qemu',
    neededFor: 'testbed',
    whatFor: `runs the guests (older than ${QEMU_WANTED_MAJOR}.0 loses memory writes in migrations under TCG)`,
    remedy: 'Debian 13: apt-get install qemu-system-x86; Debian 12: the same with -t bookworm-backports',
    probe: probeQemu,
  },
  program('gcc', 'compiles the programs inside test guests'),
  program('make', 'compiles the programs inside test guests'),
  {
    name: 'g++',
    neededFor: 'info',
    whatFor: 'the native addon, which makes work on page sets fast',
    remedy: debian('g++'),
    probe: () => findProgram('g++'),
  },
  {
    name: 'static libc',
    neededFor: 'testbed',
    whatFor: 'the programs inside test guests',
    remedy: debian('libc6-dev'),
    probe: probeStaticLibc,
  },
  {
    name: 'busybox',
    neededFor: 'testbed',
    whatFor: 'the userland of test guests',
    remedy: debian('busybox-static'),
    probe: probeBusybox,
  },
  program('cpio', 'packs the initramfs of test guests'),
  program('depmod', 'orders the kernel modules of test guests', 'kmod'),
  {
    name: 'iproute2',
    neededFor: 'testbed',
    whatFor: 'makes namespaces and links',
    remedy: debian('iproute2'),
    probe: probeIproute,
  },
  program('iperf3', "measures a link's goodput"),
  program('nftables', 'counts who uses a NIC (slackwater gang)', 'nftables', 'nft'),
  ...KERNEL_CHECKS,
  {
    name: 'ssh',
    neededFor: 'info',
    whatFor: 'monitors on other hosts (npm test installs it)',
    remedy: debian('openssh-client'),
    probe: () => findProgram('ssh', '-V'),
  },
  {
    name: 'chromium',
    neededFor: 'info',
    whatFor: 'the test that looks at a report as a browser draws it (npm test installs it)',
    remedy: debian('chromium-headless-shell'),
    probe: probeChromium,
  },
  {
    name: 'kvm',
    neededFor: 'info',
    whatFor: 'guests at full speed',
    remedy: 'a machine with virtualization; the testbed works without',
    probe: probeKvm,
  },
];
