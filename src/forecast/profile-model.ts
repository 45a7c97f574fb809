// SPDX-License-Identifier: Apache-2.0
// What a profile teaches: the dirtying curve of the guest's busy time, and how busy it was from step to step. A guest that
// repeats itself gets the mean course of its period, so that what comes can be foretold; any other what was seen.

import type { DirtyCurve, GuestProfile, Pace, ProfileSample } from '../model/index.ts';
import { binOf, type CurvePoint, type CurvePoints, fitDirtyCurve } from './dirty-curve.ts';
import { paceOf } from './pace.ts';
import { chooseModel, findPeriod, foldOver, type Period } from './series/index.ts';

export interface ProfileModel {
  /** Points of the dirtying curve, as the forecast remembers them. */
  readonly points: CurvePoints;
  readonly curve: DirtyCurve;
  /** Relative residual of the curve's fit. */
  readonly residualRatio: number;
  /** Null: always as busy as the curve says. */
  readonly pace: Pace | null;
  readonly period: Period | null;
}

/** A step that differs from the others by less says nothing of the guest: its samples are of a few thousand pages. */
const STEADY_VARIATION = 0.2;
/** Steps are even where they are as long as the median window, give or take this share. */
const EVEN_RATIO = 0.35;
const MIN_STEPS = 4;
/** Of the windows of a length those count for the curve that saw most: the others saw the guest pause. */
const BUSY_SHARE = 1 / 3;

function busyPoints(samples: readonly ProfileSample[], steady: boolean): CurvePoints {
  const bins = new Map<number, ProfileSample[]>();
  for (const sample of samples) {
    const bin = binOf(sample.windowMs);
    bins.set(bin, [...(bins.get(bin) ?? []), sample]);
  }
  const points = [...bins].map(([bin, same]): [number, CurvePoint] => {
    const most = same.toSorted((a, b) => b.dirtyBytes / b.windowMs - a.dirtyBytes / a.windowMs);
    const busy = steady ? most : most.slice(0, Math.ceil(most.length * BUSY_SHARE));
    const mean = (of: (sample: ProfileSample) => number): number =>
      busy.reduce((sum, each) => sum + of(each), 0) / busy.length;
    return [
      bin,
      {
        windowMs: mean(({ windowMs }) => windowMs),
        dirtyBytes: mean(({ dirtyBytes }) => dirtyBytes),
        // A profile counts as of the beginning of the migration: it is not older than what a migration takes.
        atMs: 0,
      },
    ];
  });
  return new Map(points);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function variationOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return mean > 0 ? Math.sqrt(variance) / mean : 0;
}

/** The even steps at the end of a profile; none where there are too few. */
function evenSteps(samples: readonly ProfileSample[]): readonly ProfileSample[] {
  const stepMs = median(samples.map(({ windowMs }) => windowMs));
  const isOdd = ({ windowMs }: ProfileSample): boolean => Math.abs(windowMs / stepMs - 1) > EVEN_RATIO;
  const steps = samples.slice(samples.findLastIndex(isOdd) + 1);
  return steps.length >= MIN_STEPS ? steps : [];
}

/** The pace at even moments. Between two windows QEMU counts pages: that time is taken for like the window after it. */
function onGrid(steps: readonly ProfileSample[], paces: readonly number[]): Omit<Pace, 'periodic'> {
  const [first] = steps;
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return { startMs: 0, stepMs: 1, values: [] };
  const startMs = first.atMs - first.windowMs;
  const count = steps.length;
  const stepMs = (last.atMs - startMs) / count;
  const values = Array.from({ length: count }, (_, i) => {
    const middleMs = startMs + (i + 0.5) * stepMs;
    const step = steps.findIndex(({ atMs }) => atMs >= middleMs);
    return paces[step === -1 ? count - 1 : step] ?? 0;
  });
  return { startMs, stepMs, values };
}

/** The mean course of one period, in as many steps as there are whole ones in it. */
function overPeriod({ startMs, stepMs, values }: Omit<Pace, 'periodic'>, { steps }: Period): Pace {
  const course = foldOver(values, steps);
  return { startMs, stepMs: (steps * stepMs) / course.length, values: course, periodic: true };
}

const LONGEST_WINDOW_MS = 86_400_000;

/** A window that somebody may have measured. */
function isSound({ atMs, windowMs, dirtyBytes }: ProfileSample, memoryBytes: number): boolean {
  const isWindow = windowMs >= 1 && windowMs <= LONGEST_WINDOW_MS;
  return isWindow && dirtyBytes >= 0 && dirtyBytes <= memoryBytes && Math.abs(atMs) < Number.MAX_SAFE_INTEGER;
}

/**
 * Null where there is not even one point of a curve. `seriesModel`: instead of what was seen, a guest that does not repeat
 * itself goes on as this model of its pace says (ets, arima, persistence). Never throws on data.
 */
export function readProfile(
  { memoryBytes, samples }: GuestProfile,
  seriesModel?: string,
): ProfileModel | null {
  const sound = samples.filter((sample) => isSound(sample, memoryBytes));
  const steps = evenSteps(sound);
  const steady =
    steps.length === 0 || variationOf(steps.map(({ dirtyBytes }) => dirtyBytes)) < STEADY_VARIATION;
  const points = busyPoints(
    sound.filter(({ dirtyBytes }) => dirtyBytes > 0),
    steady,
  );
  const fit = fitDirtyCurve(points);
  if (fit === null) return null;
  const known = { points, curve: fit.curve, residualRatio: fit.residualRatio };
  if (steady) return { ...known, pace: null, period: null };
  const seen = onGrid(
    steps,
    steps.map(({ windowMs, dirtyBytes }) => paceOf(fit.curve, windowMs, dirtyBytes)),
  );
  const period = findPeriod(seen.values);
  if (period !== null) return { ...known, pace: overPeriod(seen, period), period };
  if (seriesModel === undefined) return { ...known, pace: { ...seen, periodic: false }, period };
  const ahead = chooseModel(seen.values, seriesModel)?.fitted.forecast(seen.values.length) ?? seen.values;
  const values = ahead.map((value) => Math.max(0, value));
  return { ...known, pace: { startMs: 0, stepMs: seen.stepMs, values, periodic: false }, period };
}

/** The same profile told by a clock whose zero is so much later (negative: the samples move into the past). */
export function shiftProfile({ memoryBytes, samples }: GuestProfile, byMs: number): GuestProfile {
  return { memoryBytes, samples: samples.map((sample) => ({ ...sample, atMs: sample.atMs + byMs })) };
}

/** What of the memory is all zero, as far as its host can tell; 0 where it cannot. */
export function zeroBytesOf({ memoryBytes, samples }: GuestProfile): number {
  return Math.min(memoryBytes, Math.max(0, samples.at(-1)?.activity?.memoryZeroBytes ?? 0));
}
