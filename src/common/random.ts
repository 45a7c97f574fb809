// SPDX-License-Identifier: Apache-2.0
// Chance with a seed: what resamples takes its generator as a parameter, so that a report of the same records is the
// same report.

/** Uniform in [0, 1), like Math.random. */
export type Random = () => number;

/**
 * Mulberry32 (Tommy Ettinger's public-domain generator): 32 bits of state, a period of 2^32, against the about 10^9 draws
 * of a report with hundreds of cells. For resampling, not for secrets.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
