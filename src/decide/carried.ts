// SPDX-License-Identifier: Apache-2.0
// What the link carries while QEMU has it send all the time, for pacing the push. A mean since the beginning is less: it has in it
// the moments in which QEMU stood still, at syncs for instance. Seen at 1 Gbit/s, where one TCP stream gets 117.7 MB/s: 113.7 on the
// mean of 0.9 s, 118.3 in the best 0.2 s of them (looks are some ms late now and then, so the best lies a little above).

import type { Observation } from '../model/index.ts';

export interface Carried {
  readonly atMs: number;
  readonly sentBytes: number;
  /** Between the last looks, oldest first. */
  readonly ratesBytesPerSec: readonly number[];
}

/** What waits in QEMU's socket is too little to matter over so long. */
const LEAST_MS = 150;

/** What the link carried longer ago others may have by now. */
const KEPT_RATES = 10;

/** With one more look. Worked example: 72.3 MB sent at 656 ms, 96.7 MB at 862 ms: 118.4 MB/s. */
export function stepCarried(
  before: Carried | null,
  { atMs, transferredBytes: sentBytes }: Observation,
): Carried | null {
  if (sentBytes === null) return before;
  if (before === null) return { atMs, sentBytes, ratesBytesPerSec: [] };
  const passedMs = atMs - before.atMs;
  if (passedMs < LEAST_MS) return before;
  const rate = ((sentBytes - before.sentBytes) / passedMs) * 1000;
  const known = before.ratesBytesPerSec.slice(1 - KEPT_RATES);
  return { atMs, sentBytes, ratesBytesPerSec: [...known, rate] };
}

/** The most that was carried between two of the last looks; null: not known yet. */
export function mostCarried(carried: Carried | null): number | null {
  const most = Math.max(0, ...(carried?.ratesBytesPerSec ?? []));
  return most > 0 ? most : null;
}
