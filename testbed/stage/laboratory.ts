// SPDX-License-Identifier: Apache-2.0
// What every experiment on this machine needs once: the guest's kernel and image, the measuring programs, and the
// accelerator that guests really boot with.

import { GUEST_CPU_MODEL } from '../guest/index.ts';
import { type AcceleratorChoice, detectAccelerator } from '../index.ts';
import {
  defaultCacheDir,
  ensureGuestImage,
  ensureNativeTools,
  type GuestImage,
  type NativeTools,
} from '../image/index.ts';

export interface Laboratory {
  readonly image: GuestImage;
  readonly tools: NativeTools;
  readonly accelerator: AcceleratorChoice;
}

/** Builds what is missing, once per machine; later calls take it from the cache. */
export async function openLaboratory(
  onProgress: (line: string) => void = () => undefined,
): Promise<Laboratory> {
  const cacheDir = defaultCacheDir();
  const image = await ensureGuestImage({ cacheDir, onProgress });
  const tools = await ensureNativeTools({ cacheDir, onProgress });
  const accelerator = await detectAccelerator({
    kernelPath: image.kernelPath,
    initramfsPath: image.initramfsPath,
    cacheDir,
    cpuModel: GUEST_CPU_MODEL,
  });
  return { image, tools, accelerator };
}
