// SPDX-License-Identifier: Apache-2.0
// What a test guest is: its size and what it does, and the kernel command line that tells it so.

import { isIPv4 } from 'node:net';
import { GuestSpecError } from '../errors.ts';
import type { GuestApp } from './guest-app.ts';
import { appCommandLineWords } from './guest-app.ts';
import type { WritePattern } from '../../src/experiment/index.ts';
import { formatPattern } from './pattern.ts';

export interface GuestSpec {
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly pattern: WritePattern;
  /** Makes the content of all pages and blocks; up to 2^32 - 1. */
  readonly seed: number;
  /** Whether the guest does work units and reports them to `clientIp`, UDP port 7007. */
  readonly work: boolean;
  /** Blocks of 4 KiB written to the virtio disk a second; 0: none, and no disk is needed. */
  readonly diskBlocksPerSec: number;
  /** With prefix length, such as "10.0.0.10/24"; absent: no network. */
  readonly ip?: string;
  readonly clientIp?: string;
  /** Datagrams that it sends to the discard port of an address, at a rate on the wire; absent: none. */
  readonly sends?: { readonly ip: string; readonly bytesPerSec: number };
  /** Memory left to the guest's kernel; 28 when absent. */
  readonly reserveMib?: number;
  /** Upper bound of the filled memory, for a guest of which a part is still zero; absent: nearly all is filled. */
  readonly arenaMaxMib?: number;
  /** An application beside the checked memory; its memory is what `arenaMaxMib` leaves. */
  readonly app?: GuestApp;
}

/**
 * The CPU model and machine type that the test guest is run on. A named model with fixed features migrates between QEMU
 * versions, and the guest is ready 2.3 s earlier on it than on "max", whose 57-bit addresses and newer instructions cost an emulated
 * CPU time.
 */
export const GUEST_CPU_MODEL = 'Nehalem';
export const GUEST_MACHINE_TYPE = 'pc';

/** The x86 kernel reads no more of its command line. */
const COMMAND_LINE_MAX_BYTES = 2047;

const KERNEL_OPTIONS: readonly string[] = [
  // Errors, out-of-memory and panics reach the console; what the kernel says while booting does not, for an emulated serial port is slow.
  'console=ttyS0',
  'quiet',
  // A panic ends QEMU (-no-reboot) instead of a guest that stands still.
  'panic=-1',
  // Fixed addresses make runs comparable.
  'nokaslr',
  // Page-table isolation flushes the emulated TLB at every system call.
  'mitigations=off',
  // Clears and copies pages with plain moves: an emulated CPU runs "rep stos" word by word, 1.1 s more for 400 MiB.
  'clearcpuid=rep_good,erms',
  // Without these the kernel measures the clock again and may distrust it after a migration's pause.
  'tsc=reliable',
  'no_timer_check',
  'nowatchdog',
  // The kernel tries its ciphers when it boots, 0.35 s of an emulated CPU, and nobody here uses one.
  'cryptomgr.notests',
  'rcupdate.rcu_cpu_stall_suppress=1',
  // Huge pages where the writer asks for them, none gathered later: pages keep their place.
  'transparent_hugepage=madvise',
  // No router solicitations beside the probes, no audit of our few programs.
  'ipv6.disable=1',
  'audit=0',
  'random.trust_cpu=on',
];

function check(ok: boolean, wanted: string, got: unknown): void {
  if (!ok) throw new GuestSpecError(`guest: wanted ${wanted}, got ${String(got)}`);
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** @throws GuestSpecError naming the first field that is out of range. */
export function checkGuestSpec(spec: GuestSpec): void {
  check(isWhole(spec.memoryMib, 128, 1 << 20), 'memoryMib from 128 to 1048576', spec.memoryMib);
  check(isWhole(spec.vcpus, 1, 64), 'vcpus from 1 to 64', spec.vcpus);
  check(isWhole(spec.seed, 0, 2 ** 32 - 1), 'seed from 0 to 4294967295', spec.seed);
  check(isWhole(spec.diskBlocksPerSec, 0, 10_000), 'diskBlocksPerSec from 0 to 10000', spec.diskBlocksPerSec);
  check(isWhole(spec.reserveMib ?? 28, 16, spec.memoryMib), 'reserveMib of 16 or more', spec.reserveMib);
  check(isWhole(spec.arenaMaxMib ?? 2, 2, spec.memoryMib), 'arenaMaxMib within the memory', spec.arenaMaxMib);
  if (spec.ip !== undefined) {
    const [address = '', prefix = '', ...rest] = spec.ip.split('/');
    check(
      isIPv4(address) && rest.length === 0 && /^\d+$/.test(prefix) && Number(prefix) <= 32,
      'ip such as 10.0.0.10/24',
      spec.ip,
    );
  }
  check(spec.clientIp === undefined || isIPv4(spec.clientIp), 'clientIp such as 10.0.0.3', spec.clientIp);
  check(
    spec.sends === undefined || (isIPv4(spec.sends.ip) && spec.sends.bytesPerSec >= 1),
    'sends to an address at 1 byte/s or more',
    spec.sends?.ip,
  );
  check(
    !spec.work || (spec.ip !== undefined && spec.clientIp !== undefined),
    'ip and clientIp for a guest that reports its work',
    'none',
  );
  check(
    spec.app === undefined || spec.arenaMaxMib !== undefined,
    'arenaMaxMib for a guest with an application, which needs memory too',
    'none',
  );
}

/** The kernel command line of a guest. @throws GuestSpecError */
export function guestKernelCommandLine(spec: GuestSpec): string {
  checkGuestSpec(spec);
  const line = [
    ...KERNEL_OPTIONS,
    ...(spec.ip === undefined ? [] : [`sw.ip=${spec.ip}`]),
    ...(spec.clientIp === undefined ? [] : [`sw.client=${spec.clientIp}`]),
    `sw.pattern=${formatPattern(spec.pattern)}`,
    `sw.seed=${spec.seed}`,
    `sw.work=${spec.work ? 1 : 0}`,
    `sw.disk=${spec.diskBlocksPerSec}`,
    ...(spec.sends === undefined ? [] : [`sw.send=${spec.sends.ip}:${Math.round(spec.sends.bytesPerSec)}`]),
    ...(spec.reserveMib === undefined ? [] : [`sw.reserve=${spec.reserveMib}`]),
    ...(spec.arenaMaxMib === undefined ? [] : [`sw.arena=${spec.arenaMaxMib}`]),
    ...(spec.app === undefined ? [] : appCommandLineWords(spec.app)),
  ].join(' ');
  check(
    line.length <= COMMAND_LINE_MAX_BYTES,
    `a command line of at most ${COMMAND_LINE_MAX_BYTES} characters`,
    line.length,
  );
  return line;
}
