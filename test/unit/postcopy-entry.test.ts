// SPDX-License-Identifier: Apache-2.0
// How the adaptive policy enters post-copy: what is set before the switch, and when the switch comes.

import t from 'tap';
import { createAdaptivePolicy } from '../../src/decide/index.ts';
import { initForecast } from '../../src/forecast/index.ts';
import type { Action } from '../../src/model/index.ts';
import { GIGABIT_BYTES_PER_SEC as BANDWIDTH, MIB, observation } from './support/observation.ts';
import { context, FAST, precopy } from './support/precopy.ts';
import { stepOn } from './support/step-on.ts';

const pushLimits = (actions: readonly Action[]): (number | undefined)[] =>
  actions.flatMap((action) =>
    action.kind === 'set-parameters' ? [action.change.maxPostcopyBandwidthBytesPerSec ?? []].flat() : [],
  );

type PrecopyRun = ReturnType<typeof precopy>;

/** A look at post-copy so long after its switch. */
function lookAt(run: PrecopyRun, state: PrecopyRun['state'], afterMs: number, destinationResumed: boolean) {
  const seen = observation({
    kind: 'status',
    status: 'postcopy-active',
    atMs: run.atMs + afterMs,
    remainingBytes: 48 * MIB,
    bandwidthBytesPerSec: BANDWIDTH,
    destinationResumed,
  });
  return stepOn(run.policy, state, initForecast({ switchoverMs: 40 }), seen).step;
}

t.test(
  'where QEMU spreads the push evenly, it is given what the link was seen to carry, for a second',
  (t) => {
    const paces = { ...context(), pacesPostcopy: true };
    const run = precopy(FAST, paces);
    t.equal(run.actions.at(-1)?.kind, 'start-postcopy');
    t.same(pushLimits(run.actions), [BANDWIDTH]);
    const resumed = lookAt(run, run.state, 30, true);
    t.same([resumed.actions, resumed.wakeAtMs], [[], run.atMs + 1030]);
    const over = run.policy.step(resumed.state, { kind: 'tick', nowMs: run.atMs + 1030 });
    t.same(pushLimits(over.actions), [0], 'then it may take what others leave');

    const operators = { ...paces.parameters, maxPostcopyBandwidthBytesPerSec: BANDWIDTH / 2 };
    const limited = precopy(FAST, { ...paces, parameters: operators });
    t.same(pushLimits(limited.actions), [BANDWIDTH / 2], 'within what the operator allows');
    t.end();
  },
);

t.test('it takes the whole link after a second also where the queue was drained before', (t) => {
  const run = precopy(FAST, { ...context(), pacesPostcopy: true, sendQueueBytes: 32 * MIB });
  t.same(pushLimits(run.actions), [BANDWIDTH]);
  const begun = run.policy.step(run.state, { kind: 'tick', nowMs: run.atMs + 300 });
  t.equal(begun.actions[0]?.kind, 'start-postcopy');
  const resumed = lookAt(run, begun.state, 330, true);
  t.equal(resumed.wakeAtMs, run.atMs + 1330);
  const over = run.policy.step(resumed.state, { kind: 'tick', nowMs: run.atMs + 1330 });
  t.same(pushLimits(over.actions), [0]);
  t.end();
});

t.test('when somebody else has switched, room is made for page requests as long as it helps', (t) => {
  const taken = (destinationResumed: boolean | null) => {
    const policy = createAdaptivePolicy();
    const seen = observation({
      kind: 'status',
      status: 'postcopy-active',
      atMs: 4000,
      remainingBytes: 128 * MIB,
      bandwidthBytesPerSec: BANDWIDTH,
      destinationResumed,
    });
    const { state } = policy.init(context());
    return stepOn(policy, state, initForecast({ switchoverMs: 40 }), seen).step;
  };
  t.same(pushLimits(taken(false).actions), [1_000_000], 'until RESUME');
  t.ok((taken(null).wakeAtMs ?? 0) > 4000, 'where nobody listens for RESUME, from now on');
  t.same(taken(true).actions, [], 'not after it');
  t.end();
});

t.test('where the send queue can be made short, it is, and nothing else is needed on a fast link', (t) => {
  const short = { ...context(), shortensQueue: true, sendQueueBytes: 32 * MIB };
  const { actions } = precopy(FAST, short);
  t.same(
    actions.slice(-2).map(({ kind }) => kind),
    ['shorten-queue', 'start-postcopy'],
    'neither drained before, nor quiet after',
  );
  t.same(pushLimits(actions), []);
  const strict = { ...short, objective: { ...short.objective, maxDowntimeMs: 100 } };
  t.same(
    pushLimits(precopy(FAST, strict).actions),
    [1_000_000],
    'quiet where the silence would be too long even so',
  );
  t.end();
});

t.test('sockets pace the stream for the first second after RESUME, and no longer', (t) => {
  const run = precopy(FAST, { ...context(), shortensQueue: true });
  t.match(run.actions.at(-2), { kind: 'shorten-queue', paced: true });
  const stopped = lookAt(run, run.state, 10, false);
  t.same([stopped.actions, stopped.wakeAtMs], [[], null], 'it is not known yet when the guest will run');
  const resumed = lookAt(run, stopped.state, 30, true);
  t.same([resumed.actions, resumed.wakeAtMs], [[], run.atMs + 1030]);
  t.same(lookAt(run, resumed.state, 1000, true).actions, []);
  const over = run.policy.step(resumed.state, { kind: 'tick', nowMs: run.atMs + 1030 });
  t.same(
    over.actions.map(({ kind }) => kind),
    ['end-pacing'],
  );
  t.same(lookAt(run, over.state, 1100, true).actions, []);
  t.end();
});

t.test('a push that is held back is not paced besides', (t) => {
  const short = { ...context(), shortensQueue: true };
  const strict = { ...short, objective: { ...short.objective, maxDowntimeMs: 100 } };
  t.match(precopy(FAST, strict).actions.at(-2), { kind: 'shorten-queue', paced: false });
  t.end();
});

t.test('a send queue that is long in time is drained before the switch', (t) => {
  const run = precopy(FAST, { ...context(), sendQueueBytes: 32 * MIB });
  t.notOk(run.actions.some(({ kind }) => kind === 'start-postcopy'));
  const early = run.policy.step(run.state, { kind: 'tick', nowMs: run.atMs + 200 });
  t.same(early.actions, []);
  const due = run.policy.step(early.state, { kind: 'tick', nowMs: run.atMs + 300 });
  t.equal(due.actions[0]?.kind, 'start-postcopy');
  t.end();
});
