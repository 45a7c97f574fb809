// SPDX-License-Identifier: Apache-2.0
// What is claimed of the adaptive policy; verdict.ts checks it.

export type Claim = 'lowest-tmt' | 'lowest-client-downtime' | 'no-slower-than-precopy';

/** In words, for headings. */
export const CLAIMS: Readonly<Record<Claim, string>> = {
  'lowest-tmt': `Where stock pre-copy does not converge, the adaptive policy has the lowest median TMT, or its 95 % interval overlaps the lowest's`,
  'lowest-client-downtime': `There, it also has the lowest median downtime as a client sees it, or its interval overlaps the lowest's`,
  'no-slower-than-precopy': `Where stock pre-copy converges, the adaptive policy takes at most 3 % longer (upper end of the 95 % interval)`,
};

/** Why a claim does not hold, in the words of whoever looked into it. */
export interface Reason {
  readonly guests: readonly string[];
  readonly policy: string;
  readonly claim: Claim;
  readonly text: string;
}
