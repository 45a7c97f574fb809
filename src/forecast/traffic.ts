// SPDX-License-Identifier: Apache-2.0
// What else the link will carry: its traffic of the last samples, foretold by whichever series model was least wrong on them
// (persistence where none was better). docs/forecasts/traffic.md

import { chooseModel } from './series/index.ts';

/** Fewer samples tell nothing but their mean. */
const LEAST_SAMPLES = 8;

/**
 * Mean traffic of the next `horizonMs`, from even samples `stepMs` apart, newest last; null where there are none. Never below
 * nothing, never above the most that was seen by more than half.
 */
export function otherTrafficAhead(
  bytesPerSec: readonly number[],
  stepMs: number,
  horizonMs: number,
): number | null {
  const sound = bytesPerSec.filter((value) => Number.isFinite(value) && value >= 0);
  if (sound.length === 0) return null;
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const steps = Math.max(1, Math.min(sound.length, Math.round(horizonMs / Math.max(1, stepMs))));
  const ahead = sound.length < LEAST_SAMPLES ? null : chooseModel(sound)?.fitted.forecast(steps);
  const foretold = ahead === null || ahead === undefined ? mean(sound) : mean(ahead);
  const most = 1.5 * Math.max(...sound);
  return Number.isFinite(foretold) ? Math.min(most, Math.max(0, foretold)) : mean(sound);
}
