// SPDX-License-Identifier: Apache-2.0
// The front door of work on page sets: the ring of a patched QEMU, kernels over its bitmaps, lists of pages for it.

export { loadAddon } from './addon.ts';
export type { LoadedAddon, NativeAddon } from './addon.ts';
export { choosePages, chooseStretch } from './choose.ts';
export type { HeatedBlock } from './choose.ts';
export { bitmapBytes, heatBytes } from './kernels.ts';
export type { BitmapKernels } from './kernels.ts';
export { encodePageList, extentsOf } from './page-list.ts';
export type { PageExtent } from './page-list.ts';
export { plainKernels } from './plain-kernels.ts';
export { RingReader } from './ring.ts';
export type { RingBlockPages, RingRound } from './ring.ts';
export { RingError } from './ring-layout.ts';
export type { RingLayout } from './ring-layout.ts';
