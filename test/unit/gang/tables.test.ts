// SPDX-License-Identifier: Apache-2.0
// The traffic-aware paper's tables and Algorithm 2, row by row, and our reservation beside it.

import fc from 'fast-check';
import t from 'tap';
import {
  clusterOf,
  contentionOf,
  fuzzyInbound,
  growReservation,
  reserve,
  scenarioOf,
  sharesOf,
  sharesOfReservation,
  limitWithoutShaping,
  tableRow,
} from '../../../src/decide/index.ts';
import type { GangSituation, Priority, TrafficRates } from '../../../src/model/index.ts';

const MB = 1e6;
const rates = (received: number, sent: number): TrafficRates => ({
  receivedBytesPerSec: received * MB,
  sentBytesPerSec: sent * MB,
});

const SCENARIOS = ['in-in', 'in-out', 'out-in', 'out-out'] as const;
const CLUSTERS = ['inbound', 'outbound'] as const;
const PRIORITIES = ['high', 'medium', 'low'] as const;

t.test(
  'high contention: post-copy for what is inbound and of high priority where the destination receives',
  (t) => {
    for (const scenario of SCENARIOS) {
      for (const cluster of CLUSTERS) {
        const isPostcopy = cluster === 'inbound' && ['in-in', 'out-in'].includes(scenario);
        t.same(tableRow('high', 'high', cluster, scenario), {
          technique: isPostcopy ? 'postcopy' : 'hybrid',
          strategy: 'parallel',
          filled: [],
        });
        t.same(tableRow('high', 'low', cluster, scenario), {
          technique: 'hybrid',
          strategy: 'serial',
          filled: [],
        });
        t.same(tableRow('high', 'medium', cluster, scenario), {
          technique: 'hybrid',
          strategy: 'serial',
          filled: ['technique', 'strategy'],
        });
      }
    }
    t.end();
  },
);

t.test("moderate contention: pre-copy where both ends go the VM's way, else hybrid", (t) => {
  const strategies = { high: 'parallel', medium: 'serial', low: 'serial' } as const;
  for (const scenario of SCENARIOS) {
    for (const cluster of CLUSTERS) {
      const matches = scenario === (cluster === 'inbound' ? 'in-in' : 'out-out');
      for (const priority of PRIORITIES) {
        t.same(tableRow('moderate', priority, cluster, scenario), {
          technique: matches ? 'precopy' : 'hybrid',
          strategy: strategies[priority],
          filled: priority === 'medium' ? ['strategy'] : [],
        });
      }
    }
  }
  t.end();
});

t.test('low contention: pre-copy, in parallel', (t) => {
  for (const scenario of SCENARIOS) {
    for (const cluster of CLUSTERS) {
      for (const priority of PRIORITIES) {
        t.same(tableRow('low', priority, cluster, scenario), {
          technique: 'precopy',
          strategy: 'parallel',
          filled: priority === 'medium' ? ['strategy'] : [],
        });
      }
    }
  }
  t.end();
});

function situation(source: TrafficRates, destination: TrafficRates): GangSituation {
  return {
    nowMs: 0,
    source: { linkBytesPerSec: 125 * MB, traffic: { workload: source } },
    destination: { linkBytesPerSec: 125 * MB, traffic: { workload: destination } },
    limits: { lowerBytesPerSec: 0, upperBytesPerSec: 0 },
    vms: [],
  };
}

t.test('scenario and contention are those of the hosts', (t) => {
  t.equal(scenarioOf(situation(rates(10, 50), rates(30, 5))), 'out-in');
  t.equal(scenarioOf(situation(rates(60, 50), rates(3, 5))), 'in-out');
  t.equal(contentionOf(situation(rates(10, 30), rates(0, 0))), 'low');
  t.equal(contentionOf(situation(rates(10, 30), rates(0, 60))), 'moderate');
  t.equal(contentionOf(situation(rates(90, 30), rates(0, 60))), 'high');
  const own = { moderateFrom: 0.1, highFrom: 0.2 };
  t.equal(contentionOf(situation(rates(10, 30), rates(0, 0)), own), 'high');
  t.end();
});

t.test('VMs are clustered by their traffic', (t) => {
  const vms = [
    { name: 'a', traffic: rates(100, 0) },
    { name: 'b', traffic: rates(80, 10) },
    { name: 'c', traffic: rates(0, 90) },
  ];
  const inbound = fuzzyInbound(vms);
  t.ok((inbound.get('a') ?? 0) > 0.97 && (inbound.get('b') ?? 0) > 0.97 && (inbound.get('c') ?? 1) < 0.01);
  t.same([...clusterOf(vms, 'fuzzy').values()], ['inbound', 'inbound', 'outbound']);
  t.same([...clusterOf(vms, 'plain').values()], ['inbound', 'inbound', 'outbound']);
  const idle = [{ name: 'x', traffic: rates(0, 0) }];
  t.equal(fuzzyInbound(idle).get('x'), 0.5);
  t.same(fuzzyInbound([]), new Map());
  t.end();
});

t.test('Algorithm 2, repaired: the worked example', (t) => {
  const limits = { lowerBytesPerSec: 25 * MB, upperBytesPerSec: 60 * MB };
  const at = (priority: Priority) => reserve(priority, 125 * MB, limits, 80 * MB);
  t.same(at('high'), { workloadCapBytesPerSec: 25 * MB, migrationBytesPerSec: 100 * MB });
  t.same(at('medium'), { workloadCapBytesPerSec: 60 * MB, migrationBytesPerSec: 65 * MB });
  t.same(at('low'), { workloadCapBytesPerSec: null, migrationBytesPerSec: 45 * MB });
  const grown = growReservation(at('medium'), 125 * MB, limits, {
    totalBytesPerSec: 105 * MB,
    migrationBytesPerSec: 65 * MB,
  });
  t.equal(grown.migrationBytesPerSec, 85 * MB);
  const busy = growReservation(grown, 125 * MB, limits, {
    totalBytesPerSec: 125 * MB,
    migrationBytesPerSec: 65 * MB,
  });
  t.equal(busy, grown, 'a full link: nothing to grow into; and it never shrinks');
  const idle = growReservation(grown, 125 * MB, limits, {
    totalBytesPerSec: 20 * MB,
    migrationBytesPerSec: 10 * MB,
  });
  t.equal(idle, grown, 'a migration that does not use what it has needs no more');
  const floor = growReservation(at('medium'), 125 * MB, limits, {
    totalBytesPerSec: 70 * MB,
    migrationBytesPerSec: 65 * MB,
  });
  t.equal(floor.migrationBytesPerSec, 100 * MB, 'the lower limit stays');
  t.end();
});

const LIMITS = { lowerBytesPerSec: 25 * MB, upperBytesPerSec: 60 * MB };
const running = (name: string, priority: Priority, urgent = false) => ({ name, priority, urgent });

t.test("Algorithm 2's reservation as classes: no more than there is", (t) => {
  const limits = { lowerBytesPerSec: 25 * MB, upperBytesPerSec: 60 * MB };
  for (const priority of PRIORITIES) {
    for (const workload of [0, 10, 80, 125, 300]) {
      const shares = sharesOfReservation(reserve(priority, 125 * MB, limits, workload * MB), 125 * MB, [
        'a',
        'b',
      ]);
      const all = [shares.workload, shares.requests, ...shares.migrations.values()];
      const sum = all.reduce((total, { rateBytesPerSec }) => total + rateBytesPerSec, 0);
      t.ok(sum <= 125 * MB * 1.000_001, `${priority}, ${workload} MB/s`);
      t.ok(
        all.every(
          ({ rateBytesPerSec, ceilBytesPerSec }) => 0 < rateBytesPerSec && rateBytesPerSec <= ceilBytesPerSec,
        ),
      );
    }
  }
  t.end();
});

t.test('our shares: the worked example, and who may borrow first', (t) => {
  const shares = sharesOf(125 * MB, LIMITS, [running('a', 'medium'), running('b', 'medium')], true);
  t.equal(shares.requests.rateBytesPerSec, 2.5 * MB);
  t.equal(shares.workload.rateBytesPerSec, 60 * MB);
  t.equal(shares.migrations.get('b')?.rateBytesPerSec, 1.25 * MB);
  t.equal(shares.migrations.get('a')?.rateBytesPerSec, 61.25 * MB);
  t.ok((shares.migrations.get('a')?.order ?? 9) < (shares.migrations.get('b')?.order ?? 0));
  t.ok((shares.migrations.get('b')?.order ?? 9) < shares.workload.order);

  const low = sharesOf(125 * MB, LIMITS, [running('a', 'low')], true);
  t.ok(low.workload.rateBytesPerSec > 120 * MB, 'low priority takes what the workload leaves');
  t.ok(low.workload.order < (low.migrations.get('a')?.order ?? 0));

  const burst = sharesOf(125 * MB, LIMITS, [running('a', 'low'), running('b', 'low', true)], true);
  t.equal(burst.workload.rateBytesPerSec, 26 * MB, 'a switchover has what the floor, and a little, leaves');
  t.ok(
    (burst.migrations.get('b')?.order ?? 9) < (burst.migrations.get('a')?.order ?? 0),
    'the urgent one first',
  );

  const even = sharesOf(125 * MB, LIMITS, [running('a', 'high'), running('b', 'high')], false);
  t.equal(even.migrations.get('a')?.rateBytesPerSec, even.migrations.get('b')?.rateBytesPerSec);
  t.end();
});

t.test('whatever runs, no more is promised than there is, and the floor always', (t) => {
  const migration = fc.record({
    name: fc.string(),
    priority: fc.constantFrom<Priority>('high', 'medium', 'low'),
    urgent: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.double({ min: 1e6, max: 1e10, noNaN: true }),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.uniqueArray(migration, { selector: ({ name }) => name, maxLength: 12 }),
      fc.boolean(),
      (link, lowerRatio, upperRatio, migrations, inOrder) => {
        const limits = {
          lowerBytesPerSec: link * lowerRatio,
          upperBytesPerSec: link * Math.max(lowerRatio, upperRatio),
        };
        const { workload, requests, migrations: shares } = sharesOf(link, limits, migrations, inOrder);
        const all = [workload, requests, ...shares.values()];
        const sum = all.reduce((total, { rateBytesPerSec }) => total + rateBytesPerSec, 0);
        return (
          sum <= link * 1.000_001 &&
          workload.rateBytesPerSec >= limits.lowerBytesPerSec * 0.999_999 &&
          all.every((each) => each.rateBytesPerSec >= 1000) &&
          all.every(({ order }) => Number.isInteger(order) && order >= 0 && order <= 7)
        );
      },
    ),
  );
  t.end();
});

t.test('without shaping QEMU is limited to what the workload leaves, and gives way as that grows', (t) => {
  const limit = (workload: number, urgent = false): number =>
    limitWithoutShaping(125 * MB, LIMITS, running('a', 'medium', urgent), {
      migrations: 1,
      workloadBytesPerSec: workload * MB,
    });
  t.equal(limit(10), 100 * MB, 'the floor is kept free');
  t.ok(Math.abs(limit(40) - 81 * MB) < 1, 'a tenth more than it has, so that it can grow');
  t.equal(limit(90), 65 * MB, 'up to the upper limit');
  t.equal(limit(90, true), 99 * MB, 'in a switchover up to the lower one, and a little');
  t.end();
});
