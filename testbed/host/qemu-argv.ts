// SPDX-License-Identifier: Apache-2.0
// The command line of a guest's QEMU. Pure. Source and destination get the same device tree from the same options: what
// differs (incoming, sockets, logs) is no device.

import { createHash } from 'node:crypto';
import { UsageError } from '../../src/index.ts';
import { guestEndpoint, guestTap } from '../net/plan.ts';
import type { Argv } from '../process.ts';

export interface GuestOptions {
  /** Which of a testbed's guests it is, from 0: decides its TAP device, address and UUID. */
  readonly index?: number;
  readonly memoryMib: number;
  readonly vcpus: number;
  /** Without a kernel the firmware runs and finds nothing to boot. */
  readonly kernelPath?: string;
  readonly initramfsPath?: string;
  readonly append?: string;
  /** A raw file, the same one on both hosts. */
  readonly diskPath?: string;
  /** Default `q35`. */
  readonly machine?: string;
  /** Memory in pages of 2 MiB, which the machine has to have reserved. */
  readonly hugePages?: boolean;
  readonly accelerator?: 'kvm' | 'tcg';
  /** Default: the testbed's tap device, and its guest's address. */
  readonly nic?: {
    readonly mac: string;
    /** An inherited descriptor of a tap device. */
    readonly fd: number;
  };
  /** QEMU's name of a CPU model. Default: `host` under KVM, QEMU's own default under TCG. */
  readonly cpuModel?: string;
  /** Another binary than the distribution's, and where its firmware is. */
  readonly qemuPath?: string;
  readonly firmwareDirectories?: readonly string[];
  readonly extraArgs?: readonly string[];
}

export interface QemuPaths {
  readonly qmpPath: string;
  readonly monitorPath: string;
  readonly serialPath: string;
  readonly controlPath: string;
  readonly gdbPath?: string;
}

/** The UUID of a testbed's guest: the same on both hosts, another one for each testbed and each guest of it. */
export function guestUuid(testbed: string, index = 0): string {
  const which = index === 0 ? testbed : `${testbed} ${index}`;
  const hex = createHash('sha256').update(`slackwater-testbed ${which}`).digest('hex');
  // Marked as version 8, "made up by whoever made it" (RFC 9562).
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** A file as the value of a QEMU option, where a comma ends the value unless doubled. */
function optionPath(path: string): string {
  return path.replaceAll(',', ',,');
}

/** @throws UsageError for amounts that no guest can have */
export function qemuArgv(
  testbed: string,
  label: string,
  guest: GuestOptions,
  paths: QemuPaths,
  incoming: boolean,
): Argv {
  if (
    !Number.isInteger(guest.memoryMib) ||
    guest.memoryMib < 1 ||
    !Number.isInteger(guest.vcpus) ||
    guest.vcpus < 1
  ) {
    throw new UsageError(
      `wanted whole numbers of MiB and CPUs, got ${guest.memoryMib} MiB and ${guest.vcpus} CPUs`,
    );
  }
  const accelerator = guest.accelerator ?? 'tcg';
  const cpuModel = guest.cpuModel ?? (accelerator === 'kvm' ? 'host' : undefined);
  return [
    guest.qemuPath ?? 'qemu-system-x86_64',
    ...(guest.firmwareDirectories ?? []).flatMap((directory) => ['-L', directory]),
    ...['-name', `${testbed}-${label},debug-threads=on`, '-uuid', guestUuid(testbed, guest.index)],
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-msg', 'timestamp=on'],
    ...memoryArgs(guest),
    ...['-accel', accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
    ...(cpuModel === undefined ? [] : ['-cpu', cpuModel]),
    ...['-smp', `${guest.vcpus}`],
    ...bootArgs(guest),
    ...diskArgs(guest),
    // No option ROM: the guest never boots from the network, and the ROM's file need not be there.
    ...['-netdev', `tap,id=net0,${tapOption(guest)},vhost=off`],
    ...[
      '-device',
      `virtio-net-pci,netdev=net0,mac=${guest.nic?.mac ?? guestEndpoint(guest.index ?? 0).mac},romfile=`,
    ],
    ...[
      '-chardev',
      `file,id=console,path=${optionPath(paths.serialPath)},append=on`,
      '-serial',
      'chardev:console',
    ],
    ...['-chardev', `socket,id=control,path=${optionPath(paths.controlPath)},server=on,wait=off`],
    ...['-serial', 'chardev:control'],
    ...['-qmp', `unix:${optionPath(paths.qmpPath)},server=on,wait=off`],
    ...['-qmp', `unix:${optionPath(paths.monitorPath)},server=on,wait=off`],
    ...(paths.gdbPath === undefined ? [] : ['-gdb', `unix:${optionPath(paths.gdbPath)},server=on,wait=off`]),
    ...(incoming ? ['-incoming', 'defer'] : []),
    ...(guest.extraArgs ?? []),
  ];
}

function memoryArgs({ machine = 'q35', memoryMib, hugePages }: GuestOptions): string[] {
  const size = ['-m', `${memoryMib}M`];
  if (hugePages !== true) return ['-machine', machine, ...size];
  return [
    ...['-machine', `${machine},memory-backend=ram0`, ...size],
    ...['-object', `memory-backend-memfd,id=ram0,size=${memoryMib}M,hugetlb=on,hugetlbsize=2M`],
  ];
}

function tapOption({ nic, index = 0 }: GuestOptions): string {
  return nic === undefined ? `ifname=${guestTap(index)},script=no,downscript=no` : `fd=${nic.fd}`;
}

function bootArgs(guest: GuestOptions): string[] {
  return [
    ...(guest.kernelPath === undefined ? [] : ['-kernel', guest.kernelPath]),
    ...(guest.initramfsPath === undefined ? [] : ['-initrd', guest.initramfsPath]),
    ...(guest.append === undefined ? [] : ['-append', guest.append]),
  ];
}

function diskArgs(guest: GuestOptions): string[] {
  if (guest.diskPath === undefined) return [];
  return [
    ...['-blockdev', `driver=file,node-name=disk0-file,filename=${optionPath(guest.diskPath)}`],
    ...['-blockdev', 'driver=raw,node-name=disk0,file=disk0-file'],
    ...['-device', 'virtio-blk-pci,drive=disk0'],
  ];
}
