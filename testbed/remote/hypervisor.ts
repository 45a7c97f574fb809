// SPDX-License-Identifier: Apache-2.0
// A claimed host made ready to run a guest: its files there, its NIC made, the host's rate set.

import type { MigrationHost } from '../../src/experiment/index.ts';
import type { GuestImage, NativeTools } from '../image/index.ts';
import { NATIVE_LINK, parseLink } from '../net/link-profiles.ts';
import { makeGuestNic, shapeNic } from './guest-nic.ts';
import type { Keeper } from './keeper.ts';

export interface Hypervisor {
  readonly keeper: Keeper;
  readonly host: MigrationHost;
  /** Of the guest's NIC, for QEMU. */
  readonly devicePath: string;
  readonly kernelPath: string;
  readonly initramfsPath: string;
  readonly nonzeroPagesPath: string;
  readonly warmMemoryPath: string;
}

export interface HypervisorOptions {
  readonly image: GuestImage;
  readonly tools: NativeTools;
  readonly guestMac: string;
  /** A link's name or rate, or `native`: as it is. */
  readonly link: string;
  readonly signal: AbortSignal | undefined;
}

/** What it makes goes with the claim. @throws RemoteCommandError, HostLostError */
export async function prepareHypervisor(
  keeper: Keeper,
  host: MigrationHost,
  { image, tools, guestMac, link, signal }: HypervisorOptions,
): Promise<Hypervisor> {
  const [kernelPath = '', initramfsPath = '', nonzeroPagesPath = '', warmMemoryPath = ''] =
    await keeper.host.copy(
      [image.kernelPath, image.initramfsPath, tools.nonzeroPagesPath, tools.warmMemoryPath],
      signal,
    );
  signal?.throwIfAborted();
  const devicePath = await makeGuestNic(keeper, host.nic, guestMac);
  if (link !== NATIVE_LINK) await shapeNic(keeper, host.nic, parseLink(link));
  return { keeper, host, devicePath, kernelPath, initramfsPath, nonzeroPagesPath, warmMemoryPath };
}
