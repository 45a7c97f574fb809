// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import { choosePlan, createAdaptivePolicy, policyByName, stepStall } from '../../src/decide/index.ts';
import {
  dirtyBytesWithin,
  dirtyingOf,
  initForecast,
  predictChoices,
  stepForecast,
} from '../../src/forecast/index.ts';
import type { Action, DirtyCurve, Forecast, PolicyContext } from '../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB, observation } from './support/observation.ts';
import { OBJECTIVE } from './support/policy-context.ts';
import { context, FAST, precopy, SLOW } from './support/precopy.ts';
import { stepOn } from './support/step-on.ts';

const BANDWIDTH = GIGABIT_BYTES_PER_SEC;

function releases(actions: readonly Action[]) {
  return actions.filter(
    (action) => action.kind === 'set-parameters' && (action.change.downtimeLimitMs ?? 0) > 1,
  );
}

t.test('the switchover is held with 1 ms from the start, never with 0', (t) => {
  const { actions } = createAdaptivePolicy().init(context());
  t.same(
    actions.map((action) => action.kind === 'set-parameters' && action.change),
    [{ downtimeLimitMs: 1 }],
  );
  t.end();
});

t.test('a guest that never converges goes post-copy right after the first round', (t) => {
  const run = precopy(FAST, context());
  t.equal(run.round, 2);
  const changes = run.actions.flatMap((action) => (action.kind === 'set-parameters' ? [action.change] : []));
  t.ok(
    changes.some((change) => change.maxPostcopyBandwidthBytesPerSec !== undefined),
    'quiet start',
  );
  t.equal(releases(run.actions).length, 0);
  const last = run.actions.at(-1);
  t.equal(last?.kind, 'start-postcopy');
  t.match(last?.reason.text, /pre-copy would not come below .* \(limit 300 ms\)/);
  t.end();
});

t.test('a guest that converges is finished by pre-copy: QEMU may complete as soon as it fits', (t) => {
  const run = precopy(SLOW, context());
  t.equal(run.round, 2);
  t.equal(releases(run.actions).length, 1);
  t.notOk(run.actions.some(({ kind }) => kind === 'start-postcopy'));
  t.end();
});

/** Steps a policy through samples of the first pass of a guest with that curve; stops when it acts, or the pass ends. */
function firstPass(curve: DirtyCurve, policyContext: PolicyContext) {
  const policy = createAdaptivePolicy();
  let { state } = policy.init(policyContext);
  let forecasting = initForecast({ switchoverMs: 30 });
  const actions: { atMs: number; action: Action }[] = [];
  const passMs = (512 * MIB) / (BANDWIDTH / 1000);
  const due: number[] = [];
  const take = (atMs: number, step: ReturnType<typeof policy.step>): void => {
    state = step.state;
    due.splice(0, 1, ...(step.wakeAtMs === null ? [] : [step.wakeAtMs]));
    actions.push(...step.actions.map((action) => ({ atMs, action })));
  };
  for (let atMs = 250; atMs < passMs; atMs += 250) {
    const [dueMs = Infinity] = due;
    if (dueMs < atMs) take(dueMs, policy.step(state, { kind: 'tick', nowMs: dueMs }));
    if (state.phase.kind === 'postcopy') break;
    const windowMs = atMs === 250 ? 100 : atMs === 500 ? 301 : null;
    const seen = observation({
      kind: 'sample',
      atMs,
      round: 1,
      roundStartMs: 0,
      endedRoundMs: null,
      dirtyAtRoundStartBytes: null,
      remainingBytes: Math.round(512 * MIB * (1 - atMs / passMs)),
      dirtySamples: windowMs === null ? [] : [{ windowMs, dirtyBytes: dirtyBytesWithin(curve, windowMs) }],
    });
    const stepped = stepOn(policy, state, forecasting, seen);
    ({ forecasting } = stepped);
    take(atMs, stepped.step);
  }
  return { actions, passMs, state };
}

t.test('a hopeless pre-copy is left in its first pass, when the silence is forecast to fit', (t) => {
  const run = firstPass(FAST, context());
  const switched = run.actions.find(({ action }) => action.kind === 'start-postcopy');
  t.ok(switched !== undefined && switched.atMs > 0.8 * run.passMs && switched.atMs < 0.95 * run.passMs);
  t.match(run.actions[0]?.action, { kind: 'continue', reason: { text: /pre-copy is hopeless/ } });
  const strict = firstPass(FAST, context({ maxDowntimeMs: 260 }));
  const later = strict.actions.find(({ action }) => action.kind === 'start-postcopy');
  t.ok((later?.atMs ?? 0) > (switched?.atMs ?? 0), 'who may be silent for less is switched later');
  t.notOk(
    firstPass(FAST, context({ postcopy: 'forbidden' }, false)).actions.some(
      ({ action }) => action.kind === 'start-postcopy',
    ),
  );
  t.end();
});

t.test('a pre-copy that converges is released before its first pass ends, once', (t) => {
  const idle: DirtyCurve = { hotBytes: MIB, tauMs: 100, coldBytesPerMs: 0 };
  const run = firstPass(idle, context());
  const limits = run.actions.flatMap(({ action }) =>
    action.kind === 'set-parameters' ? [action.change.downtimeLimitMs] : [],
  );
  t.equal(limits.length, 1);
  t.ok((limits[0] ?? 0) >= 50 && (limits[0] ?? 300) < 100, 'with a short downtime, which costs nothing here');
  t.end();
});

t.test('post-copy is never started where it may not be used', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        hotBytes: fc.integer({ min: 1, max: 512 }).map((mib) => mib * MIB),
        tauMs: fc.integer({ min: 10, max: 20_000 }),
        coldBytesPerMs: fc.integer({ min: 0, max: 200_000 }),
      }),
      fc.integer({ min: 50, max: 2000 }),
      (curve, maxDowntimeMs) => {
        const run = precopy(curve, context({ maxDowntimeMs, postcopy: 'forbidden' }, false), 40);
        return !run.actions.some(({ kind }) => kind === 'start-postcopy');
      },
    ),
  );
  t.end();
});

t.test('a release never offers QEMU more than the ceiling leaves for the transfer, and never 0', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 20, max: 20_000 }),
      fc.integer({ min: 10, max: 3000 }),
      (hotMib, tauMs, maxDowntimeMs) => {
        const curve = { hotBytes: hotMib * MIB, tauMs, coldBytesPerMs: 0 };
        const run = precopy(curve, context({ maxDowntimeMs }), 40);
        return run.actions.every((action) => {
          if (action.kind !== 'set-parameters' || action.change.downtimeLimitMs === undefined) return true;
          const limit = action.change.downtimeLimitMs;
          return limit >= 1 && (limit === 1 || limit < maxDowntimeMs);
        });
      },
    ),
  );
  t.end();
});

t.test('without post-copy a hopeless pre-copy ends, and says what would be needed', (t) => {
  const run = precopy(FAST, context({ postcopy: 'forbidden' }, false));
  const last = run.actions.at(-1);
  t.equal(last?.kind, 'cancel');
  t.match(last?.reason.text, /needs a downtime of \d+ ms \(--allow-downtime\), or [\d.]+ MB\/s of bandwidth/);
  t.ok(last!.reason.numbers['neededDowntimeMs']! > 300);
  t.ok(last!.reason.numbers['neededBandwidthBytesPerSec']! > BANDWIDTH);
  t.ok(run.round <= 5, 'soon');
  t.end();
});

t.test('without post-copy a guest that is calming down is waited for, one that is not is given up', (t) => {
  const outcomeOf = (leftMib: readonly number[]) => {
    const policy = createAdaptivePolicy();
    let { state } = policy.init(context({ postcopy: 'forbidden' }, false));
    let forecasting = initForecast({ switchoverMs: 40 });
    let atMs = 0;
    let roundMs = 1500;
    for (const [i, left] of leftMib.entries()) {
      atMs += roundMs;
      const seen = observation({
        round: i + 2,
        atMs,
        roundStartMs: atMs,
        endedRoundMs: roundMs,
        dirtyAtRoundStartBytes: left * MIB,
        remainingBytes: left * MIB,
        dirtySamples: i === 0 ? [{ windowMs: 300, dirtyBytes: 60 * MIB }] : [],
      });
      const stepped = stepOn(policy, state, forecasting, seen);
      ({ forecasting } = stepped);
      ({ state } = stepped.step);
      const acted = stepped.step.actions.find(({ kind }) => kind !== 'continue');
      if (acted !== undefined) return { round: i + 2, kind: acted.kind };
      roundMs = (left * MIB) / (BANDWIDTH / 1000);
    }
    return null;
  };
  t.same(outcomeOf([84, 65, 24]), { round: 4, kind: 'set-parameters' });
  t.same(outcomeOf([66, 65, 64]), { round: 3, kind: 'cancel' });
  t.same(outcomeOf([84, 65, 64]), { round: 4, kind: 'cancel' });
  t.end();
});

t.test('a higher ceiling that was allowed is used, and only it', (t) => {
  const run = precopy(FAST, context({ postcopy: 'forbidden', allowDowntimeMs: 800 }, false));
  const [release] = releases(run.actions);
  t.ok(release);
  const change = release?.kind === 'set-parameters' ? release.change : {};
  t.ok(change.downtimeLimitMs! > 300 && change.downtimeLimitMs! < 800);
  t.equal(change.availSwitchoverBandwidthBytesPerSec, BANDWIDTH);
  t.end();
});

t.test('a deadline is leave to go on until then', (t) => {
  const policyContext = context({ postcopy: 'forbidden', deadlineMs: 8000 }, false);
  const run = precopy(FAST, policyContext, 60);
  t.equal(run.actions.at(-1)?.kind, 'cancel');
  t.ok(run.atMs >= 8000);
  const { policy } = run;
  const waiting = policy.init(policyContext);
  t.equal(waiting.wakeAtMs, 8000);
  const late = policy.step(waiting.state, { kind: 'tick', nowMs: 8000 });
  t.equal(late.actions[0]?.kind, 'cancel', 'also in the middle of a round');
  t.end();
});

t.test('a forecast that keeps promising a better next round is believed twice, then no more', (t) => {
  const policy = createAdaptivePolicy();
  let { state } = policy.init(context());
  const rosy: DirtyCurve = { hotBytes: 170e6, tauMs: 18_800, coldBytesPerMs: 0 };
  for (let round = 2; ; round++) {
    t.ok(round <= 5, 'it goes on for ever');
    if (round > 5) break;
    const atMs = 4600 + 600 * (round - 2);
    const seen = observation({ round, atMs, roundStartMs: atMs });
    const choices = predictChoices({
      dirtying: dirtyingOf(rosy, null),
      horizonMs: null,
      atMs,
      bandwidthBytesPerMs: BANDWIDTH / 1000,
      remainingBytes: 64 * MIB,
      sinceRoundStartMs: 0,
      transferredBytes: 480 * MIB,
      totalBytes: 512 * MIB,
      downtimeOverheadMs: 76,
      curveErrorRatio: 0.8,
      bandwidthErrorRatio: 0.05,
    });
    const forecast: Forecast = {
      atMs,
      ready: true,
      bandwidthBytesPerSec: BANDWIDTH,
      curve: rosy,
      errorRatio: 0.8,
      longestWindowMs: 0,
      plateau: null,
      pace: null,
      workingSetConverged: null,
      ...choices,
      downtimeOverheadMs: 76,
    };
    const step = policy.step(state, { kind: 'observation', nowMs: atMs, observation: seen, forecast });
    state = step.state;
    if (step.actions.some(({ kind }) => kind === 'start-postcopy')) break;
  }
  t.equal(state.phase.kind, 'postcopy');
  t.end();
});

t.test('a policy decides once a round', (t) => {
  const policy = createAdaptivePolicy();
  const { state } = policy.init(context());
  const seen = observation({ dirtySamples: [{ windowMs: 300, dirtyBytes: 6 * MIB }] });
  const { forecast } = stepForecast(initForecast({ switchoverMs: 40 }), seen);
  const input = { kind: 'observation', nowMs: 4600, observation: seen, forecast } as const;
  const first = policy.step(state, input);
  t.ok(first.actions.length > 0);
  t.same(policy.step(first.state, input).actions, []);
  t.end();
});

t.test('a shorter downtime is waited for where it costs next to nothing', (t) => {
  const situation = {
    atMs: 1000,
    bandwidthBytesPerMs: 100_000,
    remainingBytes: 20e6,
    sinceRoundStartMs: 0,
    transferredBytes: 500e6,
    totalBytes: 512e6,
    downtimeOverheadMs: 40,
    curveErrorRatio: 0.05,
    bandwidthErrorRatio: 0.05,
  };
  const plan = (curve: DirtyCurve) => {
    const choices = predictChoices({ ...situation, dirtying: dirtyingOf(curve, null), horizonMs: null });
    const forecast: Forecast = {
      atMs: 1000,
      ready: true,
      bandwidthBytesPerSec: 1e8,
      curve,
      errorRatio: 0.05,
      longestWindowMs: 0,
      plateau: null,
      pace: null,
      workingSetConverged: null,
      ...choices,
      downtimeOverheadMs: 40,
    };
    const chosen = choosePlan(forecast, OBJECTIVE, true);
    if (chosen?.kind !== 'finish') throw new Error(`expected to finish, got ${chosen?.kind}`);
    return chosen;
  };
  // 20 MB left take 200 ms. A guest that dirties 1 MB/s is waited for until the end of the round ...
  t.match(plan({ hotBytes: 1e5, tauMs: 10, coldBytesPerMs: 0 }), { choice: { rounds: 1 }, ceilingMs: 90 });
  // ... one that writes 1 MB again and again costs 10 ms of 1.2 s, however long ...
  t.match(plan({ hotBytes: 1e6, tauMs: 10, coldBytesPerMs: 0 }), { choice: { rounds: 1 } });
  // ... at 10 MB/s, 20 in spurts, a ms less costs a quarter of one: 1.5 % of the total time buys some 75 ms ...
  const some = plan({ hotBytes: 1e3, tauMs: 10, coldBytesPerMs: 10_000 });
  t.ok(some.ceilingMs > 160 && some.ceilingMs < 200, `${some.ceilingMs}`);
  // ... and where the round would leave 19 MB, nothing is to be had.
  t.match(plan({ hotBytes: 19e6, tauMs: 10, coldBytesPerMs: 0 }), { choice: { rounds: 0 }, ceilingMs: 300 });
  t.end();
});

t.test(
  'post-copy in which nothing moves is paused after the set time, progress of either kind resets it',
  (t) => {
    const at = (atMs: number, transferredBytes: number, pageRequests: number) =>
      observation({
        status: 'postcopy-active',
        kind: 'sample',
        atMs,
        transferredBytes,
        pageRequests,
        destinationResumed: true,
      });
    let { state, action } = stepStall(null, at(0, 100, 1), 5000);
    ({ state, action } = stepStall(state, at(4000, 100, 1), 5000));
    t.equal(action, null);
    ({ state, action } = stepStall(state, at(4900, 100, 2), 5000));
    ({ state, action } = stepStall(state, at(9800, 100, 2), 5000));
    t.equal(action, null);
    ({ state, action } = stepStall(state, at(9900, 100, 2), 5000));
    t.equal(action?.kind, 'pause-postcopy');
    t.equal(stepStall(state, at(9950, 100, 2), 5000).action, null, 'once');
    t.equal(stepStall(state, observation({ atMs: 20_000 }), 5000).state, null, 'pre-copy is not watched');
    t.end();
  },
);

t.test('a stall before the guest has resumed is waited out and said once, then paused as any other', (t) => {
  const at = (atMs: number, destinationResumed: boolean) =>
    observation({
      status: 'postcopy-active',
      kind: 'sample',
      atMs,
      transferredBytes: 100,
      destinationResumed,
    });
  let { state, action } = stepStall(null, at(0, false), 5000);
  ({ state, action } = stepStall(state, at(5000, false), 5000));
  t.equal(action?.kind, 'continue');
  t.match(action?.reason.text, /waiting for the link/);
  ({ state, action } = stepStall(state, at(60_000, false), 5000));
  t.equal(action, null);
  ({ state, action } = stepStall(state, at(60_100, true), 5000));
  t.equal(action, null, 'the link is back');
  ({ state, action } = stepStall(state, at(65_100, true), 5000));
  t.equal(action?.kind, 'pause-postcopy');
  t.end();
});

t.test('the baselines do what their names say', (t) => {
  const qemu = policyByName('qemu-default')!;
  t.same(qemu.init(context()).actions.length, 1);
  t.same(qemu.step(null, { kind: 'tick', nowMs: 1 }).actions, []);
  const immediate = policyByName('postcopy-immediate')!;
  const { forecast } = stepForecast(initForecast({ switchoverMs: 40 }), observation({}));
  const first = immediate.step(immediate.init(context()).state, {
    kind: 'observation',
    nowMs: 20,
    observation: observation({ round: 1 }),
    forecast,
  });
  t.equal(first.actions[0]?.kind, 'start-postcopy');
  t.equal(policyByName('nobody'), undefined);
  t.end();
});
