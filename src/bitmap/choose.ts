// SPDX-License-Identifier: Apache-2.0
// Chooses pages by their heat, and puts them into an order; and a stretch of those of which nothing is known. Pure.

import type { BitmapKernels } from './kernels.ts';
import { bitmapBytes } from './kernels.ts';
import { extentsOf, type PageExtent } from './page-list.ts';

export interface HeatedBlock {
  readonly pageCount: number;
  /** A byte a page. */
  readonly heat: Uint8Array;
}

const HOTTEST = 255;

/** Pages of at least that heat, the hottest first, of whichever block they are. */
export function choosePages(
  kernels: BitmapKernels,
  blocks: readonly HeatedBlock[],
  leastHeat: number,
): PageExtent[] {
  const ordered = blocks.map(({ pageCount, heat }, block) => {
    const bits = new Uint8Array(bitmapBytes(pageCount));
    kernels.hotter(heat, pageCount, Math.max(1, leastHeat), bits);
    const pages = new Uint32Array(kernels.count(bits, pageCount));
    kernels.order(heat, bits, pageCount, pages);
    return { block, heat, pages };
  });
  // From one heat to the next lower one, through all blocks: with NUMA nodes there are several.
  const extents: PageExtent[] = [];
  const from = ordered.map(() => 0);
  for (let heat = HOTTEST; heat >= leastHeat && heat > 0; heat--) {
    ordered.forEach(({ block, heat: heats, pages }, i) => {
      const first = from[i] ?? 0;
      let end = first;
      while (end < pages.length && heats[pages[end] ?? 0] === heat) end++;
      for (const extent of extentsOf(block, pages.subarray(first, end))) extents.push(extent);
      from[i] = end;
    });
  }
  return extents;
}

/**
 * Of the largest block, its end is kept: Linux lays out at the top of the memory what it reads all the time and writes rarely (the
 * 1.6 % of its page descriptors, what was read at boot), which nobody sees hot. Seen in a guest of 512 MiB of which the top was
 * missing: nearly all of the first 80 page requests after RESUME went to its last 5 MiB.
 */
const KEPT_RATIO = 1 / 32;

/** So many pages of the largest block, in one stretch before what is kept of its end, which a pass comes to last. Empty: none. */
export function chooseStretch(blockPages: readonly number[], pages: number): PageExtent[] {
  const most = Math.max(0, ...blockPages);
  const end = Math.floor(most * (1 - KEPT_RATIO));
  const firstPage = Math.max(0, end - Math.round(pages));
  const pageCount = end - firstPage;
  return pageCount > 0 ? [{ block: blockPages.indexOf(most), firstPage, pageCount }] : [];
}
