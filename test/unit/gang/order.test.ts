// SPDX-License-Identifier: Apache-2.0
// Who crosses when: the best order, the policies' plans, and their being carried out.

import fc from 'fast-check';
import t from 'tap';
import {
  bestOrder,
  gangPolicies,
  gangPolicyByName,
  isLate,
  type Job,
  scheduleOf,
  startsNow,
  type VmPhase,
} from '../../../src/decide/index.ts';
import {
  type CostOf,
  type Forecast,
  type GangPlan,
  type GangSituation,
  type GangVm,
  type Priority,
  PRIORITY_WEIGHTS,
} from '../../../src/model/index.ts';

function job(name: string, seconds: number, priority: Priority, deadlineMs: number | null = null): Job {
  return { name, priority, deadlineMs, lengthMs: seconds * 1000, highLengthMs: seconds * 1000 };
}

const namesOf = (jobs: readonly Job[], nowMs = 0): string[] =>
  bestOrder(jobs, nowMs).map(({ job: { name } }) => name);

t.test('weight over length decides, and deadlines before it', (t) => {
  const jobs = [job('a', 10, 'high'), job('b', 2, 'low'), job('c', 5, 'medium')];
  t.equal(namesOf(jobs)[0], 'b');
  t.same(namesOf([job('long', 10, 'low'), job('short', 1, 'low')]), ['short', 'long']);
  t.same(namesOf([job('long', 10, 'low', 10_000), job('short', 1, 'low')]), ['long', 'short']);
  const late = bestOrder([job('x', 10, 'low', 5000), job('y', 3, 'low', 4000)], 0);
  t.same(
    late.map(({ job: { name }, late: isLate }) => [name, isLate]),
    [
      ['y', false],
      ['x', true],
    ],
    'of two that cannot both be in time one is',
  );
  t.end();
});

const jobs = (max: number) =>
  fc
    .array(
      fc.record({
        seconds: fc.integer({ min: 1, max: 100 }),
        priority: fc.constantFrom<Priority>('high', 'medium', 'low'),
        deadlineMs: fc.option(fc.integer({ min: 500, max: 300_000 })),
      }),
      { minLength: 1, maxLength: max },
    )
    .map((all) =>
      all.map(({ seconds, priority, deadlineMs }, i) => job(`j${i}`, seconds, priority, deadlineMs)),
    );

t.test("without deadlines it is Smith's rule, however many they are", (t) => {
  fc.assert(
    fc.property(jobs(12), (all) => {
      const order = bestOrder(
        all.map((each) => ({ ...each, deadlineMs: null })),
        0,
      );
      const ratios = order.map(({ job: { priority, lengthMs } }) => PRIORITY_WEIGHTS[priority] / lengthMs);
      return ratios.every((ratio, i) => i === 0 || ratio <= (ratios[i - 1] ?? 0) + 1e-12);
    }),
  );
  t.end();
});

t.test('deadlines are kept whenever earliest-first would keep them', (t) => {
  fc.assert(
    fc.property(jobs(9), (all) => {
      const earliest = all.toSorted((a, b) => (a.deadlineMs ?? Infinity) - (b.deadlineMs ?? Infinity));
      const feasible = scheduleOf(earliest, 0).every(({ late }) => !late);
      return !feasible || bestOrder(all, 0).every(({ late }) => !late);
    }),
  );
  t.end();
});

const NONE = { sentBytesPerSec: 0, receivedBytesPerSec: 0 };

function vm(name: string, change: Partial<GangVm> = {}): GangVm {
  return {
    name,
    memoryBytes: 500e6,
    priority: 'medium',
    deadlineMs: null,
    mayPostcopy: true,
    group: 0,
    traffic: NONE,
    ...change,
  };
}

function situation(vms: readonly GangVm[], workloadBytesPerSec = 0): GangSituation {
  const host = {
    linkBytesPerSec: 125e6,
    traffic: { workload: { sentBytesPerSec: workloadBytesPerSec, receivedBytesPerSec: 0 } },
  };
  return {
    nowMs: 0,
    source: host,
    destination: { ...host, traffic: { workload: NONE } },
    limits: { lowerBytesPerSec: 25e6, upperBytesPerSec: 60e6 },
    vms,
  };
}

/** A guest of 10 s at the whole link. */
const costOf: CostOf = (_name, technique, bandwidthBytesPerSec) => {
  const tmtMs = (1.25e9 / bandwidthBytesPerSec) * 1000;
  const estimate = (expected: number) => ({ expected, low: expected * 0.9, high: expected * 1.1 });
  return {
    technique,
    bandwidthBytesPerSec,
    tmtMs: estimate(tmtMs),
    downtimeMs: estimate(100),
    bytes: estimate(1.25e9),
  };
};

t.test(
  'ours: in order, and deadlines that cannot be kept are said beforehand with what would keep them',
  (t) => {
    const ours = gangPolicyByName('slackwater-gang');
    const plan = ours?.plan(
      situation([
        vm('slow', { priority: 'low' }),
        vm('first', { priority: 'high' }),
        vm('late', { deadlineMs: 5000, priority: 'low' }),
      ]),
      costOf,
    );
    t.equal(plan?.sharing, 'in-order');
    t.same(
      plan?.vms.map(({ name }) => name),
      ['first', 'late', 'slow'],
    );
    const finding = plan?.findings.find((text) => text.includes('late'));
    t.match(finding, /its deadline is 5\.00 s/);
    t.match(finding, /even alone it needs a deadline of .* or a link of/);
    const unknown = ours?.plan(situation([vm('a')]), () => null);
    t.match(unknown?.findings, [/left for migrations/, /of a nothing is known/]);
    t.end();
  },
);

t.test("the paper's table as a plan: groups by priority, post-copy only where it is allowed", (t) => {
  const table = gangPolicyByName('traffic-aware-table');
  const inbound = { sentBytesPerSec: 0, receivedBytesPerSec: 50e6 };
  const vms = [
    vm('c', { priority: 'low', traffic: inbound }),
    vm('a', { priority: 'high', traffic: inbound }),
    vm('b', { priority: 'high', traffic: inbound, mayPostcopy: false }),
  ];
  const base = situation(vms, 100e6);
  const receiving = { workload: { sentBytesPerSec: 0, receivedBytesPerSec: 100e6 } };
  const plan = table?.plan({ ...base, destination: { ...base.destination, traffic: receiving } }, costOf);
  t.same(
    plan?.vms.map(({ name, technique, group, together }) => [name, technique, group, together]),
    [
      ['a', 'postcopy', 0, true],
      ['b', 'precopy', 0, true],
      ['c', 'hybrid', 2, false],
    ],
  );
  const complementary = gangPolicyByName('complementary-direction')?.plan(
    situation([vm('in', { traffic: inbound }), vm('out', { traffic: { ...NONE, sentBytesPerSec: 9e6 } })]),
    costOf,
  );
  t.same(
    complementary?.vms.map(({ technique }) => technique),
    ['precopy', 'postcopy'],
  );
  t.end();
});

/** Carries a plan out: whoever runs ends after a while, one at a time. Returns who ran at once, at most, and the order of begins. */
function carryOut(plan: GangPlan): { readonly atOnce: number; readonly began: readonly string[] } {
  const phases = new Map<string, VmPhase>(plan.vms.map(({ name }) => [name, 'waiting']));
  const began: string[] = [];
  let atOnce = 0;
  for (let step = 0; step < 50; step++) {
    for (const name of startsNow(plan, (each) => phases.get(each) ?? 'ended')) {
      phases.set(name, 'running');
      began.push(name);
    }
    const running = [...phases].filter(([, phase]) => phase === 'running');
    atOnce = Math.max(atOnce, running.length);
    const [first] = running;
    if (first !== undefined) phases.set(first[0], 'ended');
  }
  return { atOnce, began };
}

t.test('every plan is carried out to its end', (t) => {
  const vms = ['a', 'b', 'c', 'd'].map((name, i) =>
    vm(name, { priority: (['high', 'medium', 'low', 'high'] as const)[i] ?? 'low' }),
  );
  for (const policy of gangPolicies()) {
    const plan = policy.plan(situation(vms), costOf);
    const { began, atOnce } = carryOut(plan);
    t.same(began.toSorted(), ['a', 'b', 'c', 'd'], policy.name);
    if (policy.name === 'all-serial' || policy.name === 'slackwater-gang') t.equal(atOnce, 1, policy.name);
    if (policy.name === 'all-parallel') t.equal(atOnce, 4);
  }
  t.end();
});

t.test('ours begins the next one while the one before, awake, fetches its last pages', (t) => {
  const plan = gangPolicyByName('slackwater-gang')?.plan(situation([vm('a'), vm('b'), vm('c')]), costOf);
  if (plan === undefined) throw new Error('no plan');
  const names = plan.vms.map(({ name }) => name);
  const at = (...phases: readonly VmPhase[]): string[] =>
    startsNow(plan, (name) => phases[names.indexOf(name)] ?? 'ended');
  t.same(at('waiting', 'waiting', 'waiting'), [names[0]]);
  t.same(at('running', 'waiting', 'waiting'), []);
  t.same(at('stopping', 'waiting', 'waiting'), [], 'while a guest stands still nobody begins');
  t.same(at('ending', 'waiting', 'waiting'), [names[1]]);
  t.same(at('over', 'waiting', 'waiting'), [names[1]]);
  t.same(at('ended', 'running', 'waiting'), []);
  t.same(at('ended', 'waiting', 'waiting'), [names[1]], 'one that is tried again goes first');
  t.end();
});

t.test('as written: groups one after the other, those of a group at once', (t) => {
  const policy = gangPolicyByName('as-written');
  const planOf = (...groups: readonly number[]): GangPlan => {
    const vms = groups.map((group, i) => vm(`vm${i}`, { group }));
    const plan = policy?.plan(situation(vms), costOf);
    if (plan === undefined) throw new Error('no plan');
    return plan;
  };
  const mixed = planOf(2, 1, 2);
  t.same(carryOut(mixed), { atOnce: 2, began: ['vm1', 'vm0', 'vm2'] });
  t.equal(mixed.sharing, 'even');
  const serial = planOf(2, 0, 1);
  t.same(carryOut(serial), { atOnce: 1, began: ['vm1', 'vm2', 'vm0'] });
  t.equal(serial.sharing, 'in-order');
  t.end();
});

t.test('the next one begins as soon as the one before is migrated, whoever shares', (t) => {
  const plan = gangPolicyByName('all-serial')?.plan(situation([vm('a'), vm('b')]), costOf);
  if (plan === undefined) throw new Error('no plan');
  const at = (a: VmPhase, b: VmPhase): string[] => startsNow(plan, (name) => (name === 'a' ? a : b));
  t.same(at('ending', 'waiting'), []);
  t.same(at('over', 'waiting'), ['b']);
  t.end();
});

t.test('late is what no allowed way ends in time', (t) => {
  const estimate = (expected: number) => ({ expected, low: expected, high: expected });
  const prediction = (tmtMs: number, downtimeMs: number) => ({
    rounds: 0,
    tmtMs: estimate(tmtMs),
    downtimeMs: estimate(downtimeMs),
    bytes: estimate(1),
    dirtyAtSwitchBytes: 1,
  });
  const forecast = {
    atMs: 0,
    ready: true,
    bandwidthBytesPerSec: 1e8,
    curve: null,
    errorRatio: 0.1,
    longestWindowMs: 0,
    plateau: null,
    downtimeOverheadMs: 30,
    precopy: [prediction(3000, 900), prediction(6000, 200)],
    postcopy: [prediction(4000, 30)],
  } as unknown as Forecast;
  const objective = {
    maxDowntimeMs: 300,
    allowDowntimeMs: null,
    deadlineMs: null,
    postcopy: 'allowed',
  } as const;
  t.equal(isLate(forecast, objective, 5000), false);
  t.equal(isLate(forecast, objective, 3500), true, 'a stop at once would exceed the maximum downtime');
  t.equal(isLate(forecast, { ...objective, postcopy: 'forbidden' }, 5000), true);
  t.equal(isLate(forecast, { ...objective, allowDowntimeMs: 1000 }, 3500), false);
  t.equal(isLate({ ...forecast, ready: false }, objective, 0), false, 'nothing is known yet');
  t.end();
});
