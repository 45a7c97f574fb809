// SPDX-License-Identifier: Apache-2.0
// How long answers took, between two moments.

import { quantileSorted } from 'simple-statistics';
import type { ProbeFigures } from '../../src/experiment/index.ts';
import type { Probe } from '../measure/index.ts';

/** Of the probes sent between two moments; null where none was. */
export function probeFigures(probes: readonly Probe[], fromMs: number, toMs: number): ProbeFigures | null {
  const within = probes.filter(({ sentMonotonicMs }) => sentMonotonicMs >= fromMs && sentMonotonicMs < toMs);
  const delays = within
    .flatMap(({ sentMonotonicMs, receivedMonotonicMs }) =>
      receivedMonotonicMs === undefined ? [] : [receivedMonotonicMs - sentMonotonicMs],
    )
    .sort((a, b) => a - b);
  if (delays.length === 0) return null;
  return {
    count: within.length,
    lost: within.length - delays.length,
    p50Ms: quantileSorted(delays, 0.5),
    p99Ms: quantileSorted(delays, 0.99),
    maxMs: delays.at(-1) ?? Number.NaN,
  };
}
