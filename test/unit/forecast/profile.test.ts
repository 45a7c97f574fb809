// SPDX-License-Identifier: Apache-2.0
// What a profile teaches: a steady guest, one that repeats itself, one that does neither, and nonsense.

import fc from 'fast-check';
import t from 'tap';
import { seededRandom } from '../../../src/common/index.ts';
import {
  chooseStart,
  dirtyBytesWithin,
  dirtyingOf,
  findPeriod,
  ownTimeOf,
  paceOf,
  readProfile,
  shiftProfile,
} from '../../../src/forecast/index.ts';
import type { DirtyCurve, GuestProfile, ProfileSample } from '../../../src/model/index.ts';
import { MIB } from '../support/observation.ts';

const CURVE: DirtyCurve = { hotBytes: 64 * MIB, tauMs: 320, coldBytesPerMs: 0 };

/** Some windows for the curve, then steps of 250 ms until 0, of a guest that is as busy as `busy` says. */
function profile(
  profileMs: number,
  busy: (atMs: number) => number,
  noise: () => number = () => 1,
): GuestProfile {
  const samples: ProfileSample[] = [];
  const ownMs = (fromMs: number, toMs: number): number => {
    let sum = 0;
    for (let ms = fromMs; ms < toMs; ms += 5) sum += 5 * busy(ms);
    return sum;
  };
  let atMs = -profileMs;
  for (const windowMs of [100, 300, 1000, ...new Array<number>(10_000).fill(250)]) {
    if (atMs + windowMs > 0) break;
    const dirtyBytes = dirtyBytesWithin(CURVE, ownMs(atMs, atMs + windowMs)) * noise();
    atMs += windowMs;
    samples.push({ atMs, windowMs, dirtyBytes, activity: null });
  }
  return { memoryBytes: 512 * MIB, samples };
}

t.test('a steady guest has a curve and no course', (t) => {
  const random = seededRandom(1);
  const known = readProfile(
    profile(
      10_000,
      () => 1,
      () => 0.95 + 0.1 * random(),
    ),
  )!;
  t.equal(known.pace, null);
  const within = dirtyBytesWithin(known.curve, 573) / dirtyBytesWithin(CURVE, 573);
  t.ok(Math.abs(within - 1) < 0.05, `U(573 ms) is ${within.toFixed(3)} of what it is`);
  t.end();
});

for (const periodMs of [2000, 6000, 15_000]) {
  t.test(`a guest that is busy for half of ${periodMs} ms is found out, and what comes is foretold`, (t) => {
    const busy = (atMs: number): number =>
      ((atMs % periodMs) + periodMs) % periodMs < periodMs / 2 ? 1 : 0.02;
    const known = readProfile(profile(Math.max(10_000, 3 * periodMs), busy))!;
    const { pace } = known;
    t.equal(pace?.periodic, true);
    const foundMs = pace!.values.length * pace!.stepMs;
    t.ok(Math.abs(foundMs - periodMs) < 0.03 * periodMs, `${foundMs.toFixed(0)} ms`);
    const dirtying = dirtyingOf(known.curve, pace);
    // The middles of the next busy and the next quiet time.
    const inBusy = dirtying(periodMs / 4 - 200, periodMs / 4 + 200);
    const inQuiet = dirtying((3 * periodMs) / 4 - 200, (3 * periodMs) / 4 + 200);
    t.ok(inBusy > 0.7 * dirtyBytesWithin(CURVE, 400), `${(inBusy / MIB).toFixed(1)} MiB while busy`);
    t.ok(inQuiet < 0.15 * dirtyBytesWithin(CURVE, 400), `${(inQuiet / MIB).toFixed(1)} MiB while quiet`);
    t.end();
  });
}

t.test('chance is not taken for a period', (t) => {
  let found = 0;
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed);
    if (findPeriod(Array.from({ length: 60 }, () => random())) !== null) found += 1;
  }
  t.ok(found <= 6, `${found} of 200 random series`);
  t.end();
});

t.test('a guest without a period goes on as it was seen', (t) => {
  const random = seededRandom(3);
  const levels = Array.from({ length: 40 }, () => (random() < 0.5 ? 0.05 : 1));
  const busy = (atMs: number): number => levels[Math.floor((atMs + 10_000) / 250) % 40] ?? 1;
  const known = readProfile(profile(10_000, busy))!;
  t.equal(known.pace?.periodic, false);
  const seen = readProfile(shiftProfile(profile(10_000, busy), -5000))!;
  t.ok(
    Math.abs(seen.pace!.startMs - known.pace!.startMs + 5000) < 1e-6,
    'on another clock it begins earlier',
  );
  t.end();
});

t.test('the pace is the share of its own time that a guest lives', (t) => {
  t.ok(Math.abs(paceOf(CURVE, 250, 40 * MIB) - 1.26) < 0.01, 'the example of its documentation');
  t.equal(paceOf(CURVE, 5000, 64 * MIB), 1, 'a saturated window says no more than busy');
  t.equal(paceOf(CURVE, 250, 0), 0);
  const own = ownTimeOf({ startMs: -1000, stepMs: 500, values: [1, 0.5], periodic: true });
  t.equal(own(-1000), 0);
  t.equal(own(0), 750);
  t.equal(own(250) - own(0), 250);
  t.equal(own(-1500), -250, 'before its first step it was as a period later');
  t.end();
});

t.test('waiting pays for a busy guest with a quiet time ahead, and only then', (t) => {
  const inputs = {
    periodMs: 15_000,
    memoryBytes: 208 * MIB,
    bandwidthBytesPerMs: 117_000,
    maxDowntimeMs: 300,
    downtimeOverheadMs: 30,
  };
  const course = (values: number[]) =>
    dirtyingOf(CURVE, { startMs: 0, stepMs: 15_000 / values.length, values, periodic: true });
  const busyFirst = chooseStart({ ...inputs, dirtying: course([1, 1, 0.01]) });
  t.ok(busyFirst.best.waitMs > 7000, `begins after ${busyFirst.best.waitMs} ms`);
  t.ok(busyFirst.best.bytes < 0.4 * busyFirst.now.bytes);
  const endMs = (choice: { waitMs: number; tmtMs: number }): number => choice.waitMs + choice.tmtMs;
  t.ok(endMs(busyFirst.best) <= 1.05 * endMs(busyFirst.now), 'and is not over later');
  t.equal(chooseStart({ ...inputs, dirtying: course([0.01, 1, 1]) }).best.waitMs, 0, 'quiet by now');
  t.equal(chooseStart({ ...inputs, dirtying: course([1, 1, 1]) }).best.waitMs, 0, 'never quiet');
  t.end();
});

t.test('nonsense is not known, never thrown at, never believed', (t) => {
  const anyNumber = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, -1));
  fc.assert(
    fc.property(
      fc.array(fc.record({ atMs: anyNumber, windowMs: anyNumber, dirtyBytes: anyNumber }), { maxLength: 60 }),
      (samples) => {
        const known = readProfile({
          memoryBytes: 512 * MIB,
          samples: samples.map((sample) => ({ ...sample, activity: null })),
        });
        if (known === null) return true;
        const dirty = dirtyingOf(known.curve, known.pace)(0, 1000);
        return Number.isFinite(dirty) && dirty >= 0;
      },
    ),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.array(anyNumber, { maxLength: 80 }), (values) => {
      const period = findPeriod(values);
      return period === null || (period.steps >= 2 && period.steps <= values.length / 2);
    }),
  );
  t.equal(findPeriod(new Array<number>(100).fill(7)), null, 'a constant has no period');
  t.end();
});
