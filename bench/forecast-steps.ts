// SPDX-License-Identifier: Apache-2.0
// What one more observation of a long migration costs to forecast, everything looked at, and how large the forecast's memory
// has become: neither may grow with the length of the migration.

import { quantile } from 'simple-statistics';
import { seededRandom } from '../src/common/index.ts';
import { initForecast, stepForecast } from '../src/forecast/index.ts';
import type { GuestProfile, Observation } from '../src/model/index.ts';

export interface ForecastStepBench {
  readonly observations: number;
  /** Steps that were timed: the last ones. */
  readonly samples: number;
  /** What was forecast in all. */
  readonly choices: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** The whole state as JSON. */
  readonly stateBytes: number;
}

const STEP_MS = 250;
const TIMED = 200;
const TOTAL_BYTES = 512 * 1024 * 1024;
const BANDWIDTH_BYTES_PER_SEC = 117e6;

/** A guest whose rounds never shrink, each with other numbers: every eighth observation is the end of one. */
function observationAt(i: number, random: () => number): Observation {
  const isRound = i % 8 === 7;
  const atMs = i * STEP_MS;
  const dirtyBytes = 60e6 + 20e6 * random();
  return {
    kind: isRound ? 'round' : 'sample',
    atMs,
    status: 'active',
    round: 1 + Math.floor(i / 8),
    roundStartMs: Math.floor(i / 8) * 8 * STEP_MS,
    endedRoundMs: isRound ? 400 + 200 * random() : null,
    dirtyAtRoundStartBytes: isRound ? dirtyBytes : null,
    unsentBytes: isRound ? 0 : null,
    remainingBytes: dirtyBytes,
    totalBytes: TOTAL_BYTES,
    transferredBytes: atMs * 1e5,
    zeroBytes: 0,
    bandwidthBytesPerSec: BANDWIDTH_BYTES_PER_SEC * (0.95 + 0.1 * random()),
    lastWindowBytesPerSec: null,
    pageRequests: 0,
    destinationResumed: null,
    qemuDowntimeMs: null,
    qemuTotalMs: null,
    pages: null,
    showsPages: false,
    errorText: null,
    dirtySamples: [{ windowMs: 50 + 400 * random(), dirtyBytes: 20e6 * random() }],
  };
}

/** A guest with a course, watched for half a minute. */
function profileOf(random: () => number): GuestProfile {
  return {
    memoryBytes: TOTAL_BYTES,
    samples: Array.from({ length: 120 }, (_, i) => ({
      atMs: (i - 120) * STEP_MS,
      windowMs: STEP_MS,
      dirtyBytes: (i % 24 < 12 ? 40e6 : 4e6) * (0.9 + 0.2 * random()),
      activity: null,
    })),
  };
}

export function benchForecastSteps(observations: number, withProfile: boolean): ForecastStepBench {
  const random = seededRandom(1);
  let state = initForecast({ switchoverMs: 30, profile: withProfile ? profileOf(random) : null });
  const timesUs: number[] = [];
  let choices = 0;
  for (let i = 0; i < observations; i++) {
    const observation = observationAt(i, random);
    const fromMs = performance.now();
    const step = stepForecast(state, observation);
    // Worked out only when looked at.
    const { precopy, postcopy, plateau, curve } = step.forecast;
    const tookUs = (performance.now() - fromMs) * 1000;
    if (curve === null && i > 8) throw new Error('there is no forecast to time');
    choices += precopy.length + postcopy.length + (plateau === null ? 0 : 1);
    if (i >= observations - TIMED) timesUs.push(tookUs);
    state = step.state;
  }
  const stateBytes = JSON.stringify(state, (_, value: unknown) =>
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : value,
  ).length;
  return {
    observations,
    samples: timesUs.length,
    choices,
    p50Us: quantile(timesUs, 0.5),
    p99Us: quantile(timesUs, 0.99),
    stateBytes,
  };
}
