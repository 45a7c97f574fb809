// SPDX-License-Identifier: Apache-2.0
// What is claimed of the adaptive policy (verdict.ts checks it), and what an experiment asks of its figures (bounds.ts).

export type AdaptiveClaim = 'lowest-tmt' | 'lowest-client-downtime' | 'no-slower-than-precopy';

export type BoundClaim =
  | 'total-within-bound'
  | 'bytes-within-bound'
  | 'client-downtime-within-bound'
  | 'stop-to-resume-within-bound'
  | 'lost-work-within-bound'
  | 'by-precopy';

export type Claim = AdaptiveClaim | BoundClaim;

/** In words, for headings. */
export const CLAIMS: Readonly<Record<Claim, string>> = {
  'lowest-tmt': `Where stock pre-copy does not converge, the adaptive policy has the lowest median TMT, or its 95 % interval overlaps the lowest's`,
  'lowest-client-downtime': `There, it also has the lowest median downtime as a client sees it, or its interval overlaps the lowest's`,
  'no-slower-than-precopy': `Where stock pre-copy converges, the adaptive policy takes at most 3 % longer (upper end of the 95 % interval)`,
  'total-within-bound': `The median TMT keeps the experiment's bound, as a multiple of the floor`,
  'bytes-within-bound': `The median of the bytes sent keeps the experiment's bound, as a multiple of the memory that has to cross`,
  'client-downtime-within-bound': `The median downtime as a client sees it keeps the experiment's bound`,
  'stop-to-resume-within-bound': `The median from STOP to RESUME keeps the experiment's bound`,
  'lost-work-within-bound': `The median of the guest's lost work keeps the experiment's bound, as a multiple of that under another policy`,
  'by-precopy': `Every run ends by pre-copy, as the experiment asks`,
};

/** Why a claim does not hold, in the words of whoever looked into it. */
export interface Reason {
  readonly guests: readonly string[];
  readonly policy: string;
  readonly claim: Claim;
  readonly text: string;
}
