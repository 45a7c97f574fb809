// SPDX-License-Identifier: Apache-2.0
// A guest of 512 MiB whose pages are seen and of which none was written; tests say what is different.

import { HEAT_CLASSES, type PageSummary } from '../../../src/model/index.ts';

export const PAGES_PER_MIB = 256;

/** Pages by class of heat, given in MiB. */
export function byHeat(mib: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: HEAT_CLASSES }, (_, heatClass) => (mib[heatClass] ?? 0) * PAGES_PER_MIB);
}

export function pages(fields: Partial<PageSummary>): PageSummary {
  return {
    pageSizeBytes: 4096,
    intervalMs: 200,
    syncMs: 1,
    dirtiedPages: 0,
    pendingPages: 0,
    deferredPages: 0,
    endsRound: false,
    round: null,
    window: null,
    pagesByHeat: byHeat({ 0: 512 }),
    heatWindowMs: 200,
    watchedMs: 1500,
    ...fields,
  };
}
