// SPDX-License-Identifier: Apache-2.0
// A guest as its QEMU has to be started, on whichever host.

import {
  GUEST_CPU_MODEL,
  GUEST_MACHINE_TYPE,
  guestKernelCommandLine,
  type GuestSpec,
} from '../guest/index.ts';
import type { GuestImage } from '../image/index.ts';
import type { GuestOptions } from '../index.ts';
import type { Laboratory } from './laboratory.ts';

export function guestQemu(
  { accelerator }: Laboratory['accelerator'],
  { kernelPath, initramfsPath }: Pick<GuestImage, 'kernelPath' | 'initramfsPath'>,
  spec: GuestSpec,
): GuestOptions {
  return {
    memoryMib: spec.memoryMib,
    vcpus: spec.vcpus,
    kernelPath,
    initramfsPath,
    append: guestKernelCommandLine(spec),
    machine: GUEST_MACHINE_TYPE,
    accelerator,
    cpuModel: GUEST_CPU_MODEL,
    // A guest that panics ends its QEMU instead of beginning anew.
    extraArgs: ['-no-reboot'],
  };
}
