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

export interface PageChoice {
  /** Block by block, within each the hottest pages first. */
  readonly extents: readonly PageExtent[];
  readonly pageCount: number;
}

/** Pages of at least that heat, at most so many: then the hottest. */
export function choosePages(
  kernels: BitmapKernels,
  blocks: readonly HeatedBlock[],
  leastHeat: number,
  maxPages = Infinity,
): PageChoice {
  const extents: PageExtent[] = [];
  let chosen = 0;
  const floor =
    maxPages === Infinity ? leastHeat : Math.max(leastHeat, heatThatFits(kernels, blocks, maxPages));
  blocks.forEach(({ pageCount, heat }, block) => {
    const bits = new Uint8Array(bitmapBytes(pageCount));
    kernels.hotter(heat, pageCount, Math.max(1, floor), bits);
    const room = Math.min(kernels.count(bits, pageCount), maxPages - chosen);
    const pages = new Uint32Array(room);
    kernels.order(heat, bits, pageCount, pages);
    extents.push(...extentsOf(block, pages));
    chosen += room;
  });
  return { extents, pageCount: chosen };
}

/** The heat down to which pages are to be taken to have so many of them: with the last class perhaps more than that. */
function heatThatFits(kernels: BitmapKernels, blocks: readonly HeatedBlock[], maxPages: number): number {
  const counts = new Uint32Array(256);
  for (const { heat, pageCount } of blocks) kernels.countHeat(heat, pageCount, counts);
  let pages = 0;
  for (let heat = 255; heat > 0; heat--) {
    pages += counts[heat] ?? 0;
    if (pages >= maxPages) return heat;
  }
  return 1;
}
