// SPDX-License-Identifier: Apache-2.0
// Orders of gangs, searched through in the model.

import t from 'tap';
import { guestOfPattern, rankGangOrders, type SimulatedGangVm } from '../../../src/simulate/index.ts';
import { MIB } from '../support/observation.ts';

const LINK = 40e6;

function vm(name: string, fields: Partial<SimulatedGangVm> = {}): SimulatedGangVm {
  const pattern = { kind: 'steady', setBytes: 4 * MIB, rateBytesPerSec: 50 * MIB } as const;
  return {
    name,
    priority: 'medium',
    deadlineMs: null,
    maxDowntimeMs: 300,
    guest: guestOfPattern(144 * MIB, 24 * MIB, pattern),
    ...fields,
  };
}

t.test('every order and every way of going at once is there, the best first', (t) => {
  const names = ['a', 'b', 'c', 'd'];
  for (const [count, orders] of [1, 3, 13, 75].entries()) {
    const ranked = rankGangOrders(
      names.slice(0, count + 1).map((name) => vm(name)),
      LINK,
    );
    t.equal(ranked.length, orders);
    t.equal(new Set(ranked.map(({ groups }) => JSON.stringify(groups))).size, orders);
    for (const { groups, schedule } of ranked) {
      t.same(groups.flat().toSorted(), names.slice(0, count + 1));
      t.same(schedule.map(({ job }) => job.name).toSorted(), names.slice(0, count + 1));
    }
  }
  t.end();
});

t.test('priorities order them, deadlines before priorities', (t) => {
  const best = (...vms: readonly SimulatedGangVm[]) => rankGangOrders(vms, LINK)[0]!;
  t.same(best(vm('low', { priority: 'low' }), vm('high', { priority: 'high' })).groups, [['high'], ['low']]);
  const alone = best(vm('low')).schedule[0]!.endMs;
  const urgent = best(
    vm('low', { priority: 'low', deadlineMs: 1.2 * alone }),
    vm('high', { priority: 'high' }),
  );
  t.same(urgent.groups, [['low'], ['high']]);
  t.notOk(urgent.schedule.some(({ late }) => late));
  const hopeless = best(vm('low', { deadlineMs: 0.5 * alone }), vm('high'));
  t.equal(
    hopeless.schedule.filter(({ late }) => late).length,
    1,
    'what cannot be kept is late in the best, too',
  );
  t.end();
});

t.test('at once both end when the second of two would, or later', (t) => {
  const ranked = rankGangOrders([vm('a'), vm('b')], LINK);
  const ends = (groups: readonly (readonly string[])[]) =>
    ranked
      .find((each) => JSON.stringify(each.groups) === JSON.stringify(groups))!
      .schedule.map(({ endMs }) => endMs);
  const [first = 0, second = 0] = ends([['a'], ['b']]);
  const both = ends([['a', 'b']]);
  t.ok(Math.abs(second - 2 * first) < 1);
  t.equal(both[0], both[1]);
  t.ok(both[0]! > 0.95 * second, `${both[0]!.toFixed(0)} ms at once, ${second.toFixed(0)} in turn`);
  t.same(ranked.at(-1)!.groups, [['a', 'b']]);
  t.end();
});

t.test('of two at once the shorter one is over first, and leaves the other the link', (t) => {
  const short = vm('short', {
    guest: guestOfPattern(72 * MIB, 12 * MIB, { kind: 'steady', setBytes: MIB, rateBytesPerSec: MIB }),
  });
  const ranked = rankGangOrders([short, vm('long')], LINK);
  const alone = (name: string): number => {
    const [first] = ranked.find(({ groups }) => groups.length === 2 && groups[0]![0] === name)!.schedule;
    return first!.endMs;
  };
  const [first, second] = ranked.find(({ groups }) => groups.length === 1)!.schedule;
  t.same([first!.job.name, second!.job.name], ['short', 'long']);
  const sum = alone('short') + alone('long');
  t.ok(first!.endMs > 1.8 * alone('short') && first!.endMs < second!.endMs);
  t.ok(second!.endMs > 0.95 * sum && second!.endMs < 1.1 * sum, `${second!.endMs} of ${sum}`);
  t.end();
});

t.test('too many are refused with the number', (t) => {
  const many = Array.from({ length: 7 }, (_, i) => vm(`vm${i}`));
  t.throws(() => rankGangOrders(many, LINK), /at most 6 VMs whose orders are searched, got 7/);
  t.end();
});
