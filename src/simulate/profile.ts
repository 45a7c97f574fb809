// SPDX-License-Identifier: Apache-2.0
// What a controller that watched a simulated guest for a while would have seen of it, without the errors of sampling.

import type { GuestProfile, ProfileSample } from '../model/index.ts';
import type { SimulatedGuest } from './guest.ts';

/** Some windows for the curve, then even steps; shorter ones than the real profiler takes where it watches for long. */
const CURVE_WINDOWS_MS = [100, 300, 1000];
const STEP_MS = 250;

export function profileOf({ memoryBytes, parts }: SimulatedGuest, profileMs: number): GuestProfile {
  const samples: ProfileSample[] = [];
  for (let atMs = -profileMs, i = 0; ; i++) {
    const windowMs = CURVE_WINDOWS_MS[i] ?? STEP_MS;
    const fromMs = atMs;
    atMs += windowMs;
    if (atMs > 0) break;
    const toMs = atMs;
    const dirtyBytes = parts.reduce((sum, part) => sum + part.dirtyBetween(fromMs, toMs), 0);
    samples.push({ atMs, windowMs, dirtyBytes, activity: null });
  }
  return { memoryBytes, samples };
}
