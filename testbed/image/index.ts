// SPDX-License-Identifier: Apache-2.0
export { ensureAppImage } from './app-image.ts';
export type { BuildOptions } from './build-cache.ts';
export { defaultCacheDir } from './build-cache.ts';
export * from '../errors.ts';
export type { GuestImage } from './guest-image.ts';
export { ensureGuestImage } from './guest-image.ts';
export type { NativeTools } from './native-tools.ts';
export { ensureNativeTools } from './native-tools.ts';
export { ensurePatchedQemu, findPatchedQemu } from './patched-qemu.ts';
