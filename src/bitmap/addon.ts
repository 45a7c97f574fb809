// SPDX-License-Identifier: Apache-2.0
// The native addon, where it was built for this machine; else its plain twin, which is said once.

import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { messageOf, packageRoot, type SocketAccess } from '../common/index.ts';
import type { BitmapKernels } from './kernels.ts';
import { plainKernels } from './plain-kernels.ts';

export interface NativeAddon {
  /** The fastest that this CPU runs. */
  readonly best: BitmapKernels;
  /** For any CPU. */
  readonly scalar: BitmapKernels;
  /** The first bytes of a file, read-only, as long as the array lives. @throws Error, RangeError */
  mapFile(path: string, size: number): Uint8Array;
  readonly sockets: SocketAccess;
}

export type LoadedAddon =
  | { readonly addon: NativeAddon; readonly kernels: BitmapKernels }
  | { readonly addon: null; readonly kernels: BitmapKernels; readonly reason: string };

function load(): LoadedAddon {
  const path = join(packageRoot(), 'native', 'addon', 'build', 'slackwater.node');
  try {
    // The addon takes a bitmap's bytes as words of this machine: the same bits only where the lowest byte comes first.
    if (endianness() !== 'LE') throw new Error('it is for little-endian machines');
    const addon = createRequire(import.meta.url)(path) as NativeAddon;
    return { addon, kernels: addon.best };
  } catch (error) {
    return { addon: null, kernels: plainKernels, reason: messageOf(error).split('\n')[0] ?? '' };
  }
}

/**
 * Loads once, when first asked. Where there is no addon, the first `onFallback` that is given hears why, and no other.
 * `load`: for tests.
 */
export function addonLoader(load: () => LoadedAddon): (onFallback?: (reason: string) => void) => LoadedAddon {
  let loaded: LoadedAddon | undefined;
  let isTold = false;
  return (onFallback) => {
    loaded ??= load();
    if (loaded.addon === null && onFallback !== undefined && !isTold) {
      isTold = true;
      onFallback(`no native addon, page sets are slower: ${loaded.reason}`);
    }
    return loaded;
  };
}

/** The addon of this machine, once per process. */
export const loadAddon = addonLoader(load);
