// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import {
  bandwidthNeededBytesPerMs,
  DEFAULT_WORKING_SET,
  dirtyBytesWithin,
  fitDirtyCurve,
  hasConverged,
  initForecast,
  initialWorkingSet,
  plateauOf,
  stepForecast,
  stepWorkingSet,
  withPoint,
  type CurvePoints,
} from '../../src/forecast/index.ts';
import type { DirtyCurve, PageSummary } from '../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB, observation } from './support/observation.ts';
import { pages } from './support/pages.ts';

const GIGABIT_BYTES_PER_MS = GIGABIT_BYTES_PER_SEC / 1000;

function pointsOf(curve: DirtyCurve, windowsMs: readonly number[]): CurvePoints {
  let points: CurvePoints = new Map();
  for (const windowMs of windowsMs) {
    points = withPoint(points, { windowMs, dirtyBytes: dirtyBytesWithin(curve, windowMs), atMs: 0 });
  }
  return points;
}

t.test('the documented example of the curve holds', (t) => {
  const curve = { hotBytes: 64 * MIB, tauMs: 320, coldBytesPerMs: 0 };
  t.equal((dirtyBytesWithin(curve, 573) / MIB).toFixed(1), '53.3');
  t.equal(dirtyBytesWithin(curve, 0), 0);
  t.end();
});

t.test('a fit finds a curve again from points of it', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4096 }),
      fc.integer({ min: 20, max: 5000 }),
      fc.integer({ min: 0, max: 20_000 }),
      (hotMib, tauMs, coldBytesPerMs) => {
        const truth = { hotBytes: hotMib * MIB, tauMs, coldBytesPerMs };
        const fit = fitDirtyCurve(pointsOf(truth, [50, 100, 300, 1000, 4000]));
        if (fit === null) return false;
        // Judged where it is used: within the windows that were seen.
        return [80, 200, 600, 2000].every((ms) => {
          const wanted = dirtyBytesWithin(truth, ms);
          return Math.abs(dirtyBytesWithin(fit.curve, ms) - wanted) <= wanted * 0.05;
        });
      },
    ),
  );
  t.end();
});

t.test('any points give a curve that is finite, rising and never negative', (t) => {
  const point = fc.record({
    windowMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
    dirtyBytes: fc.double({ min: 0, max: 1e12, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (list) => {
      let points: CurvePoints = new Map();
      for (const each of list) points = withPoint(points, { ...each, atMs: 0 });
      const fit = fitDirtyCurve(points);
      if (fit === null) return points.size === 0;
      let before = 0;
      return [1, 10, 100, 1000, 10_000].every((ms) => {
        const bytes = dirtyBytesWithin(fit.curve, ms);
        const ok = Number.isFinite(bytes) && bytes >= before;
        before = bytes;
        return ok;
      });
    }),
  );
  t.end();
});

t.test('a sample taken while the guest stood still does not pass for a slow writer', (t) => {
  // Measured: the guest's vCPU had stalled during the shortest window.
  const measured = [
    [104, 654_311],
    [301, 46_711_963],
    [888, 63_978_427],
    [4400, 68_131_200],
  ] as const;
  let points: CurvePoints = new Map();
  for (const [windowMs, dirtyBytes] of measured)
    points = withPoint(points, { windowMs, dirtyBytes, atMs: 0 });
  const fit = fitDirtyCurve(points);
  t.ok(dirtyBytesWithin(fit!.curve, 573) > 50e6, 'the next round leaves most of the set dirty');
  t.ok(fit!.residualRatio < 0.2);
  t.end();
});

t.test('old points die, so that a guest that has calmed down is seen as calm', (t) => {
  let points = pointsOf({ hotBytes: 64 * MIB, tauMs: 100, coldBytesPerMs: 0 }, [100, 300, 1000]);
  points = withPoint(points, { windowMs: 50, dirtyBytes: 1e6, atMs: 20_000 });
  t.equal(points.size, 4);
  points = withPoint(points, { windowMs: 50, dirtyBytes: 1e6, atMs: 31_000 });
  t.equal(points.size, 1);
  t.end();
});

t.test('the plateau is the fixed point of the pre-copy map', (t) => {
  const curve = { hotBytes: 64 * MIB, tauMs: 320, coldBytesPerMs: 0 };
  const plateau = plateauOf(curve, GIGABIT_BYTES_PER_MS, 512 * MIB);
  t.ok(plateau);
  t.ok(Math.abs(plateau!.dirtyBytes - plateau!.roundMs * GIGABIT_BYTES_PER_MS) < 0.01 * plateau!.dirtyBytes);
  t.equal(plateau!.roundMs.toFixed(0), '418');
  t.equal(
    plateauOf({ ...curve, coldBytesPerMs: 120_000 }, GIGABIT_BYTES_PER_MS, 512 * MIB),
    null,
    'diverges',
  );
  const slow = { hotBytes: 64 * MIB, tauMs: 3200, coldBytesPerMs: 0 };
  t.ok(plateauOf(slow, GIGABIT_BYTES_PER_MS, 512 * MIB)!.dirtyBytes < MIB, 'a slow writer converges');
  t.end();
});

t.test('with the bandwidth that is said to be needed, the plateau meets the limit', (t) => {
  const curve = { hotBytes: 64 * MIB, tauMs: 320, coldBytesPerMs: 0 };
  const needed = bandwidthNeededBytesPerMs(curve, 200);
  t.ok(needed > GIGABIT_BYTES_PER_MS);
  t.ok(plateauOf(curve, needed, 512 * MIB)!.roundMs <= 201);
  t.end();
});

const CONFIG = { switchoverMs: 40 };

t.test('direct samples tell a fast writer from a slow one after the very first round', (t) => {
  // Both have 64 MiB dirty after 4.5 s; only shorter windows show which of them a next round would help.
  const fast = [100, 300, 1000].map((windowMs) => ({
    windowMs,
    dirtyBytes: Math.min(64 * MIB, (200 * MIB * windowMs) / 1000),
  }));
  const slow = [100, 300, 1000].map((windowMs) => ({ windowMs, dirtyBytes: (20 * MIB * windowMs) / 1000 }));
  const of = (samples: typeof fast) =>
    stepForecast(initForecast(CONFIG), observation({ dirtySamples: samples })).forecast;
  t.ok(of(fast).precopy[1]!.dirtyAtSwitchBytes > 50 * MIB);
  t.ok(of(slow).precopy[1]!.dirtyAtSwitchBytes < 16 * MIB);
  t.end();
});

t.test('a switchover now costs what is dirty now, plus the overhead', (t) => {
  const { forecast } = stepForecast(initForecast(CONFIG), observation({}));
  const now = forecast.precopy[0]!;
  t.equal(now.downtimeMs.expected.toFixed(0), ((64 * MIB) / GIGABIT_BYTES_PER_MS + 40).toFixed(0));
  t.equal(now.bytes.expected, 544 * MIB);
  t.ok(now.downtimeMs.low < now.downtimeMs.expected && now.downtimeMs.expected < now.downtimeMs.high);
  t.equal(forecast.postcopy[0]!.downtimeMs.expected, 40);
  t.end();
});

t.test('without a bandwidth or a point of the curve there is no forecast, and no exception', (t) => {
  const bare = observation({ bandwidthBytesPerSec: null, endedRoundMs: null, dirtyAtRoundStartBytes: null });
  const { forecast } = stepForecast(initForecast(CONFIG), bare);
  t.equal(forecast.ready, false);
  t.same(forecast.precopy, []);
  t.end();
});

t.test('after the switch nothing is forecast but the rest of the transfer', (t) => {
  const { state } = stepForecast(initForecast(CONFIG), observation({}));
  const { forecast } = stepForecast(
    state,
    observation({ kind: 'sample', status: 'postcopy-active', atMs: 6000, remainingBytes: 30 * MIB }),
  );
  t.same(forecast.precopy, []);
  t.equal(forecast.postcopy.length, 1);
  const restMs = (30 * MIB) / GIGABIT_BYTES_PER_MS;
  t.equal(forecast.postcopy[0]!.tmtMs.expected.toFixed(0), (6000 + restMs + 40).toFixed(0));
  t.end();
});

t.test('a race-free reading within a round corrects the point of its boundary', (t) => {
  const first = stepForecast(initForecast(CONFIG), observation({ dirtyAtRoundStartBytes: 70 * MIB }));
  const corrected = stepForecast(
    first.state,
    observation({ kind: 'sample', endedRoundMs: null, dirtyAtRoundStartBytes: 64 * MIB, atMs: 4800 }),
  );
  t.equal(corrected.state.newest?.dirtyBytes, 64 * MIB);
  t.equal(corrected.state.newest?.windowMs, 4500);
  t.end();
});

t.test('the working set has converged once the same pages are dirty in successive rounds', (t) => {
  const after = (rounds: readonly (readonly [dirtiedPages: number, similarity: number | null])[]) => {
    let state = initialWorkingSet;
    for (const [dirtiedPages, similarity] of rounds) {
      const round = { dirtiedPages, similarity, persistentPages: null };
      state = stepWorkingSet(state, round, DEFAULT_WORKING_SET);
    }
    return hasConverged(state, DEFAULT_WORKING_SET);
  };
  t.equal(after([]), null);
  t.equal(after([[1000, null]]), false);
  const alike = [
    [1000, null],
    [980, 0.94],
    [990, 0.96],
  ] as const;
  t.equal(after(alike.slice(0, 2)), false, 'one round like the one before is not enough');
  t.equal(after(alike), true);
  t.equal(after([...alike, [990, 0.85]]), false, 'other pages');
  t.equal(after([...alike, [900, 0.91]]), false, 'fewer pages');
  t.end();
});

t.test('a forecast says whether the working set has converged, where pages are seen', (t) => {
  let state = initForecast({ switchoverMs: 40 });
  const see = (round: PageSummary['round']): boolean | null => {
    const stepped = stepForecast(state, observation({ pages: pages({ round }) }));
    ({ state } = stepped);
    return stepped.forecast.workingSetConverged;
  };
  t.equal(see(null), null);
  const round = { dirtiedPages: 100, persistentPages: 100, similarity: 1 };
  t.same([see(round), see(null), see(round), see(round)], [false, false, false, true]);

  // The operator may be content with less.
  const workingSet = { minSimilarity: 0.5, maxSizeChangeRatio: 0.5, rounds: 1 };
  state = initForecast({ switchoverMs: 40, objective: { workingSet } });
  t.same([see(round), see({ ...round, dirtiedPages: 60, similarity: 0.6 })], [false, true]);
  t.end();
});
