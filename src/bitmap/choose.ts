// SPDX-License-Identifier: Apache-2.0
// Chooses pages by their heat, and puts them into an order. Pure.

import type { BitmapKernels } from './kernels.ts';
import { bitmapBytes } from './kernels.ts';
import { extentsOf, type PageExtent } from './page-list.ts';

export interface HeatedBlock {
  readonly pageCount: number;
  /** A byte a page. */
  readonly heat: Uint8Array;
}

/** Pages of at least that heat: block by block, within each the hottest first. */
export function choosePages(
  kernels: BitmapKernels,
  blocks: readonly HeatedBlock[],
  leastHeat: number,
): PageExtent[] {
  return blocks.flatMap(({ pageCount, heat }, block) => {
    const bits = new Uint8Array(bitmapBytes(pageCount));
    kernels.hotter(heat, pageCount, Math.max(1, leastHeat), bits);
    const pages = new Uint32Array(kernels.count(bits, pageCount));
    kernels.order(heat, bits, pageCount, pages);
    return extentsOf(block, pages);
  });
}
