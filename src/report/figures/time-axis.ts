// SPDX-License-Identifier: Apache-2.0
// The unit in which a stretch of time is best read on an axis.

export interface TimeUnit {
  readonly name: string;
  readonly ms: number;
}

/** ms below 2 s, minutes from 10 minutes on, seconds between. */
export function timeUnitFor(longestMs: number): TimeUnit {
  if (longestMs < 2000) return { name: 'ms', ms: 1 };
  if (longestMs >= 600_000) return { name: 'min', ms: 60_000 };
  return { name: 's', ms: 1000 };
}
