// SPDX-License-Identifier: Apache-2.0
// Whether QEMU would complete if it were given a downtime now. It does not wait for the end of a round: it looks at what is
// left every 50 ms of sending, and stops the guest as soon as that fits. So a guest whose whole rounds leave a little too much
// may be finished all the same. docs/forecasts/release.md

import type { Forecast, Observation } from '../model/index.ts';
import { dirtyingOf } from './pace.ts';

export interface Released {
  readonly completes: boolean;
  /** From now until the switchover. */
  readonly afterMs: number;
  readonly downtimeMs: number;
}

/** QEMU sends for so long between two looks (MAX_WAIT in migration/ram.c). */
const LOOK_MS = 50;
/** A guest is taken to write so much more than forecast: a release that leads nowhere costs bytes for nothing. */
const CAUTION = 1.15;
/** Further ahead nobody knows. */
const MOST_LOOKS = 40;
/** All that the guest writes again and again is written within so long. */
const SET_MS = 5000;

/**
 * With P pending and S what fits, QEMU sends until P is S, at least for 50 ms; meanwhile U is written, of which the share that
 * still waits of all that the guest writes (H) is sent once: P' = P - sent + U (1 - rest/H). It completes when P' is at most S.
 *
 * Worked example: 94 MB dirty of a guest that writes 157 MB/s into 94 MB, 117 MB/s, 800 ms with 30 ms of overhead: S = 90 MB.
 * After 50 ms 88.2 MB are left of it, 9 MB were written, of which 6 % come on top: 88.7 MB, which fits.
 */
export function predictReleased(
  { curve, pace, bandwidthBytesPerSec, downtimeOverheadMs }: Forecast,
  { atMs, remainingBytes, totalBytes }: Observation,
  ceilingMs: number,
): Released | null {
  if (curve === null || bandwidthBytesPerSec === null || bandwidthBytesPerSec <= 0) return null;
  if (remainingBytes === null || totalBytes === null) return null;
  const perMs = bandwidthBytesPerSec / 1000;
  const fits = perMs * (ceilingMs - downtimeOverheadMs);
  const dirtying = dirtyingOf(curve, pace);
  let pending = remainingBytes;
  let clockMs = atMs;
  for (let i = 0; i < MOST_LOOKS && pending > fits; i++) {
    const sendMs = Math.min(pending / perMs, Math.max(LOOK_MS, (pending - fits) / perMs));
    const written = dirtying(clockMs, clockMs + sendMs) * CAUTION;
    const set = Math.max(dirtying(clockMs, clockMs + SET_MS), pending, 1);
    const rest = pending - perMs * sendMs;
    const next = Math.min(totalBytes, rest + written * (1 - rest / set));
    clockMs += sendMs;
    // Static guests do not get calmer; one with a course may.
    if (next > fits && next >= pending * 0.995 && pace === null) break;
    pending = next;
  }
  return {
    completes: pending <= fits,
    afterMs: clockMs - atMs,
    downtimeMs: pending / perMs + downtimeOverheadMs,
  };
}
