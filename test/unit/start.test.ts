// SPDX-License-Identifier: Apache-2.0
// What the operator weighs, what a decision says it weighed, and when the adaptive policy begins.

import t from 'tap';
import { choosePlan, createAdaptivePolicy, weighedOptions } from '../../src/decide/index.ts';
import { foldObservation, forecastOf, initForecast, predictReleased } from '../../src/forecast/index.ts';
import type { GuestProfile, Observation } from '../../src/model/index.ts';
import { guestOfPattern, profileOf } from '../../src/simulate/index.ts';
import { MIB, observation } from './support/observation.ts';
import { OBJECTIVE, policyContext } from './support/policy-context.ts';

const FORBIDDEN = { ...OBJECTIVE, postcopy: 'forbidden' } as const;

/** Busy for 10 s of 15; `intoMs`: how far into its turn the guest is now. */
function profile(intoMs: number, writes = 200): GuestProfile {
  const guest = guestOfPattern(
    208 * MIB,
    0,
    {
      kind: 'phases',
      phases: [
        { forMs: 10_000, pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: writes * MIB } },
        { forMs: 5000, pattern: { kind: 'steady', setBytes: MIB, rateBytesPerSec: 4 * MIB } },
      ],
    },
    intoMs,
  );
  return profileOf(guest, 45_000);
}

function waitOf(fields: Parameters<typeof policyContext>[0]): number | null {
  const { actions } = createAdaptivePolicy().init(policyContext({ memoryBytes: 208 * MIB, ...fields }));
  const wait = actions.find(({ kind }) => kind === 'wait');
  return wait?.kind === 'wait' ? wait.waitMs : null;
}

t.test('without post-copy a guest that repeats itself is begun so that it ends in its quiet time', (t) => {
  const without = { objective: FORBIDDEN, postcopyReady: false };
  const waitMs = waitOf({ ...without, profile: profile(0) });
  t.ok(waitMs !== null && waitMs > 6000 && waitMs < 9500, `${waitMs} ms, the quiet time is 10 s away`);
  t.equal(waitOf({ ...without, profile: profile(10_200) }), null, 'it is quiet now');
  t.equal(waitOf({ ...without, profile: profile(0, 10) }), null, 'pre-copy converges at once');
  t.equal(waitOf({ ...without, profile: null }), null, 'nobody has looked');
  t.equal(waitOf({ profile: profile(0) }), null, 'post-copy is the sooner way');
  t.end();
});

function seen(fields: Partial<Observation> = {}): {
  seen: Observation;
  forecast: ReturnType<typeof forecastOf>;
} {
  const at = observation({
    remainingBytes: 30 * MIB,
    dirtyAtRoundStartBytes: 30 * MIB,
    dirtySamples: [
      { windowMs: 100, dirtyBytes: 3 * MIB },
      { windowMs: 1000, dirtyBytes: 20 * MIB },
    ],
    ...fields,
  });
  return { seen: at, forecast: forecastOf(foldObservation(initForecast({ switchoverMs: 30 }), at), at) };
}

t.test('the operator decides what a way may cost', (t) => {
  const { forecast } = seen({ remainingBytes: 60 * MIB, dirtyAtRoundStartBytes: 60 * MIB });
  const kindOf = (weights?: { tmt: number; downtime: number; slowdown: number; bytes: number }) =>
    choosePlan(
      forecast,
      { ...OBJECTIVE, maxDowntimeMs: 3000, ...(weights === undefined ? {} : { weights }) },
      true,
    );
  const quick = kindOf({ tmt: 1, downtime: 0, slowdown: 0, bytes: 0 });
  const gentle = kindOf({ tmt: 0.01, downtime: 10, slowdown: 10, bytes: 0 });
  t.equal(quick?.kind, 'finish');
  t.ok(quick?.kind === 'finish' && quick.choice.rounds === 0, 'in a hurry: at once');
  t.ok(gentle?.kind === 'finish' && gentle.choice.downtimeMs.expected < 200, 'else when little is left');
  t.end();
});

t.test('a decision says what it has weighed, the cheapest that fits first', (t) => {
  const { forecast } = seen();
  const options = weighedOptions(forecast, OBJECTIVE, true);
  t.ok(options.some(({ way }) => way === 'precopy') && options.some(({ way }) => way === 'postcopy'));
  const precopy = options.filter(({ way, fits }) => way === 'precopy' && fits);
  t.same(
    precopy,
    precopy.toSorted((a, b) => a.costMs - b.costMs),
  );
  t.notOk(weighedOptions(forecast, FORBIDDEN, false).some(({ way }) => way === 'postcopy'));
  t.same(weighedOptions({ ...forecast, ready: false }, OBJECTIVE, true), []);
  const policy = createAdaptivePolicy();
  const { state } = policy.init(policyContext());
  const step = policy.step(state, { kind: 'observation', nowMs: 4600, observation: seen().seen, forecast });
  const reasons = step.actions.map(({ reason }) => reason);
  t.ok(
    reasons.some((reason) => (reason.options?.length ?? 0) > 0),
    'and it is in the record',
  );
  t.end();
});

t.test('QEMU is let go where it comes below the limit within a round, not where it never would', (t) => {
  const at = (writesMib: number, setMib: number) => {
    const curve = guestOfPattern(208 * MIB, 0, {
      kind: 'steady',
      setBytes: setMib * MIB,
      rateBytesPerSec: writesMib * MIB,
    });
    const within = (windowMs: number) => ({
      windowMs,
      dirtyBytes: curve.parts.reduce((sum, part) => sum + part.dirtyBetween(0, windowMs), 0),
    });
    return seen({
      totalBytes: 208 * MIB,
      remainingBytes: setMib * MIB,
      dirtyAtRoundStartBytes: setMib * MIB,
      dirtySamples: [within(100), within(300), within(1000)],
    });
  };
  const sweep = at(150, 90);
  t.equal(predictReleased(sweep.forecast, sweep.seen, 800)?.completes, true);
  t.equal(predictReleased(sweep.forecast, sweep.seen, 300)?.completes, false);
  const hot = at(200, 64);
  t.equal(predictReleased(hot.forecast, hot.seen, 300)?.completes, false);
  t.equal(predictReleased({ ...hot.forecast, curve: null }, hot.seen, 300), null);
  t.end();
});
