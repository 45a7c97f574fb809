// SPDX-License-Identifier: Apache-2.0
// How a migration is to end for which the hot pages are known: by pre-copy, with few enough of them left out, or by post-copy.

import type { PageSummary, PolicyContext } from '../model/index.ts';
import { transferMsWithin } from './adaptive-state.ts';
import { planCold } from './cold-plan.ts';
import type { FirstWrites } from './first-writes.ts';
import { type DeferralPlan, dirtyBytesWithin, planDeferral } from './page-plan.ts';
import { mayGoPostcopy } from './paging-switch.ts';
import type { EndsBy } from './paging-state.ts';
import { DEFAULT_WEIGHTS } from './plan.ts';

/** Of what the link carries within the maximum downtime, the part that deferred pages may take: others come on top. */
const FITTING_RATIO = 0.8;

/** Of the memory, what may be expected to be sent twice for an end by pre-copy where post-copy is to be had. A choice. */
const PRECOPY_RESENDS = 0.05;

/**
 * Of what was written in the window that has just ended, at least so much within `ms`. Heat is of more than a second: a guest that has
 * begun to write is seen here first. Worked example: 40 MiB in 200 ms are at least 20 MiB in 100.
 */
function justWrittenWithin({ window }: PageSummary, ms: number): number {
  return window === null ? 0 : window.dirtyBytes * Math.min(1, ms / window.windowMs);
}

/**
 * How the migration is to end, and what to leave out for that. A guest that writes no more within the maximum downtime than the link
 * carries in it can be finished by pre-copy, which is the safer way: then no more is left out than can be sent while it is
 * stopped. That safety may cost PRECOPY_RESENDS of the memory in pages that are sent twice; where it would cost more, and
 * where such a guest is not, all pages that are worth it are left out for post-copy. `none`: no end is forecast to be had.
 */
export function planEnd(
  context: PolicyContext,
  pages: PageSummary,
  bandwidthBytesPerSec: number,
  firstWrites: FirstWrites | null,
): { readonly endsBy: EndsBy; readonly plan: DeferralPlan } {
  const limitMs = transferMsWithin(context.objective.maxDowntimeMs, context.switchoverMs);
  const fittingBytes = (bandwidthBytesPerSec / 1000) * limitMs * FITTING_RATIO;
  const writtenBytes = Math.max(dirtyBytesWithin(pages, limitMs), justWrittenWithin(pages, limitMs));
  const fits = writtenBytes <= fittingBytes;
  const { weights = DEFAULT_WEIGHTS } = context.objective;
  const mostBytes = fits ? fittingBytes : 0;
  // No page is waited for there, so that no weight of the operator's makes more or less of it.
  const forPrecopy = planDeferral(pages, bandwidthBytesPerSec, {
    mostBytes,
    weights: { ...weights, slowdown: DEFAULT_WEIGHTS.slowdown },
  });
  if (!mayGoPostcopy({ context })) return { endsBy: fits ? 'precopy' : 'none', plan: forPrecopy };
  const forPostcopy = planDeferral(pages, bandwidthBytesPerSec, { weights });
  const { coldBytes, sparedBytes } = planCold(
    pages,
    bandwidthBytesPerSec,
    forPostcopy.deferredBytes,
    firstWrites,
    weights,
  );
  const resendBytes = forPostcopy.savedBytes - forPrecopy.savedBytes + sparedBytes;
  return fits && resendBytes <= bytesOf(pages) * PRECOPY_RESENDS
    ? { endsBy: 'precopy', plan: forPrecopy }
    : { endsBy: 'postcopy', plan: { ...forPostcopy, coldBytes } };
}

function bytesOf({ pagesByHeat, pageSizeBytes }: PageSummary): number {
  return pagesByHeat.reduce((sum, each) => sum + each, 0) * pageSizeBytes;
}
