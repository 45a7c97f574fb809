// SPDX-License-Identifier: Apache-2.0
// Watches a guest before its migration: windows of several lengths for the dirtying curve, then even steps for its course.
// On a stock QEMU by page sampling, which changes nothing; where QEMU shows its pages they are counted instead (control).

import type { Clock } from '../common/index.ts';
import type { ProfileSample } from '../model/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { ActivityReader } from './guest-activity.ts';
import { measureDirtyPages, samplesPerGib } from './dirty-sampler.ts';

const CURVE_WINDOWS_MS = [100, 300, 1000];
/** The longest window, as a share of the profile: what a whole pass would find dirty. */
const LONG_RATIO = 1 / 4;
/** Steps short enough for periods of two seconds, and so many that a sample's error does not pass for the guest's course. */
const LEAST_STEP_MS = 250;
const MOST_STEP_MS = 1000;
const STEPS = 40;
const MIN_LONG_MS = 1500;

/** The windows of a profile of that length: some for the curve, then even steps until it is over. */
export function profileWindows(profileMs: number): {
  readonly curveMs: readonly number[];
  readonly stepMs: number;
} {
  const longMs = profileMs * LONG_RATIO;
  const wanted = longMs >= MIN_LONG_MS ? [...CURVE_WINDOWS_MS, Math.round(longMs)] : CURVE_WINDOWS_MS;
  let leftMs = profileMs / 2;
  const curveMs = wanted.filter((windowMs) => (leftMs -= windowMs) >= 0);
  const stepMs = Math.round(Math.min(MOST_STEP_MS, Math.max(LEAST_STEP_MS, profileMs / STEPS)));
  return { curveMs, stepMs };
}

export interface ProfilerOptions {
  readonly memoryBytes: number;
  readonly profileMs: number;
  /** Null: nothing but dirty pages is looked at. */
  readonly activity: ActivityReader | null;
  readonly signal?: AbortSignal;
  /** After each window, for whoever shows it. */
  readonly onSample?: (sample: ProfileSample) => void;
}

/**
 * The windows in the order in which they ended; `atMs` is on the clock. A window that QEMU did not measure is left out: one
 * that is busy with somebody else's measurement gives none. @throws the signal's reason, QmpError
 */
export async function profileGuest(
  client: QmpClient,
  clock: Clock,
  { memoryBytes, profileMs, activity, signal = new AbortController().signal, onSample }: ProfilerOptions,
): Promise<ProfileSample[]> {
  const endMs = clock.nowMs() + profileMs;
  const { curveMs, stepMs } = profileWindows(profileMs);
  const samplePages = samplesPerGib(memoryBytes);
  const samples: ProfileSample[] = [];
  for (let i = 0; clock.nowMs() + stepMs <= endMs || i === 0; i++) {
    const windowMs = curveMs[i] ?? stepMs;
    const beganMs = clock.nowMs();
    const measured = await measureDirtyPages(client, clock, windowMs, samplePages, signal);
    signal.throwIfAborted();
    const taken = activity === null ? null : await activity.take();
    if (measured === null) continue;
    const sample = { ...measured, atMs: beganMs + measured.windowMs, activity: taken };
    samples.push(sample);
    onSample?.(sample);
  }
  return samples;
}
