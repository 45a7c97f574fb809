// SPDX-License-Identifier: Apache-2.0
// When pre-copy should end, and what others would have predicted.

import t from 'tap';
import {
  convergencePointOf,
  foldObservation,
  forecastOf,
  initForecast,
  liuGeometric,
  mvmDuration,
  qemuExpected,
} from '../../../src/forecast/index.ts';
import type { GuestProfile } from '../../../src/model/index.ts';
import { MIB, observation } from '../support/observation.ts';

const near = (actual: number, expected: number, by: number): boolean => Math.abs(actual - expected) <= by;

/** 64 MiB at 200 MiB/s for 3 s, then nothing for 3 s; `sinceMs`: how long it has been busy at 0. */
function phases(sinceMs: number): GuestProfile {
  const samples = Array.from({ length: 72 }, (_, i) => {
    const atMs = -18_000 + 250 * (i + 1);
    const inTurn = (((atMs - 250 + sinceMs) % 6000) + 6000) % 6000;
    const dirtyBytes = inTurn < 3000 ? 45 * MIB : 0.2 * MIB;
    return { atMs, windowMs: 250, dirtyBytes, activity: null };
  });
  const long = { atMs: -18_000, windowMs: 1000, dirtyBytes: 64 * MIB, activity: null };
  return { memoryBytes: 512 * MIB, samples: [long, ...samples] };
}

t.test('a static guest: where rounds stop shrinking, and whether that keeps the limit', (t) => {
  const seen = observation({
    dirtySamples: [
      { windowMs: 100, dirtyBytes: 20 * MIB },
      { windowMs: 300, dirtyBytes: 55 * MIB },
    ],
  });
  const forecast = forecastOf(foldObservation(initForecast({ switchoverMs: 30 }), seen), seen);
  const point = convergencePointOf(forecast, 300)!;
  t.equal(point.kind, 'static');
  t.equal(point.fits, false, `${point.downtimeMs.toFixed(0)} ms`);
  t.equal(convergencePointOf(forecast, 700)!.fits, true);
  t.end();
});

t.test('a guest with a course: the earliest moment of it that keeps the limit', (t) => {
  // At 4.5 s the guest has been busy for 1.5 s of 3.
  const profile = phases(3000);
  const seen = observation({ atMs: 4500, roundStartMs: 4500, endedRoundMs: 4400 });
  const forecast = forecastOf(foldObservation(initForecast({ switchoverMs: 30, profile }), seen), seen);
  t.equal(forecast.pace?.periodic, true);
  const point = convergencePointOf(forecast, 300)!;
  t.equal(point.kind, 'dynamic');
  t.ok(point.fits);
  t.ok(near(point.atMs, 6300, 500), `at ${point.atMs.toFixed(0)} ms, the quiet time begins at 6000`);
  t.end();
});

t.test('what is not ready has no convergence point', (t) => {
  const seen = observation({ bandwidthBytesPerSec: null });
  const forecast = forecastOf(initForecast({ switchoverMs: 30 }), seen);
  t.equal(convergencePointOf(forecast, 300), null);
  t.end();
});

t.test('the comparators give the published figures', (t) => {
  const rest = { hotBytes: 0, hotMs: 2000, coldBytesPerSec: 0 };
  const liu = liuGeometric({
    memoryBytes: 1024e6,
    bandwidthBytesPerSec: 125e6,
    dirtyBytesPerSec: 10.24e6,
    ...rest,
    maxDowntimeMs: 5,
  });
  t.ok(near(liu.tmtMs, 8923, 2), `${liu.tmtMs}`);
  t.equal(
    liuGeometric({
      memoryBytes: 1e9,
      bandwidthBytesPerSec: 1e8,
      dirtyBytesPerSec: 2e8,
      ...rest,
      maxDowntimeMs: 300,
    }).tmtMs,
    Infinity,
  );
  const mvm = (memoryBytes: number, hotBytes: number, coldBytesPerSec: number) =>
    mvmDuration({
      memoryBytes,
      hotBytes,
      coldBytesPerSec,
      hotMs: 2000,
      maxDowntimeMs: 300,
      bandwidthBytesPerSec: 1e9 / 9,
      dirtyBytesPerSec: 0,
    }).tmtMs;
  t.ok(near(mvm(1024e6, 5e6, 0), 9262, 2), 'idle, 1 GB');
  t.ok(near(mvm(1024e6, 56e6, 22.6e6), 11_861, 2), 'stress, 1 GB');
  t.ok(near(mvm(4096e6, 56e6, 22.6e6), 46_568, 3), 'stress, 4 GB');
  t.same(qemuExpected(1000, 50e6, 100e6), { tmtMs: 1500, downtimeMs: 500 });
  t.end();
});
