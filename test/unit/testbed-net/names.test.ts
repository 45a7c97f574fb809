// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { UsageError } from '../../../src/index.ts';
import { isRunning, ownIdentity, parseProcStat } from '../../../testbed/host/process-identity.ts';
import { parseEntry } from '../../../testbed/host/run-dir.ts';
import { checkName, namespacesOf } from '../../../testbed/net/plan.ts';
import { hostLines, switchLines } from '../../../testbed/net/topology.ts';

t.test('a name is checked before it becomes a path', (t) => {
  t.equal(checkName('lab-1'), 'lab-1');
  for (const wrong of ['', '-a', 'A', '../x', 'a b', 'a@b', 'x'.repeat(32)])
    t.throws(() => checkName(wrong), UsageError);
  t.end();
});

t.test('entries of the run root are told apart', (t) => {
  t.match(parseEntry('lab'), { kind: 'testbed', name: 'lab', directory: '/run/slackwater-testbed/lab' });
  t.match(parseEntry('.new-lab-2@12-345'), { kind: 'new', name: 'lab-2' });
  t.match(parseEntry('.removing-lab@12-345'), { kind: 'removing', name: 'lab' });
  for (const foreign of ['.lab', 'Lab', '.removing-lab', 'lab.partial'])
    t.equal(parseEntry(foreign), undefined, foreign);
  t.end();
});

t.test('a process is named by pid, start time and boot', async (t) => {
  const fields = ['S', ...Array.from({ length: 18 }, () => '0'), '4711', '0'].join(' ');
  t.same(parseProcStat(`12 (a) S 99 (b) ${fields}\n`), { startTicks: 4711, state: 'S' });
  t.equal(parseProcStat(''), undefined);
  const own = await ownIdentity();
  t.ok(await isRunning(own));
  t.notOk(await isRunning({ ...own, startTicks: own.startTicks + 1 }), 'same pid, other start');
  t.notOk(await isRunning({ ...own, bootId: 'another' }), 'same pid and start, other boot');
});

t.test('every interface is made inside a namespace of the testbed', (t) => {
  t.same(namespacesOf('x'), ['x-src', 'x-dst', 'x-client', 'x-sw']);
  const veths = switchLines('x').filter((line) => line.includes('type veth'));
  t.same(
    veths.map((line) => line.split(' ').at(-1)),
    ['x-src', 'x-dst', 'x-client'],
    'the far end of each cable is born in its host',
  );
  t.end();
});

t.test('only hosts that run guests have a bridge and a TAP', (t) => {
  for (const host of ['src', 'dst'] as const) {
    t.ok(hostLines(host).some((line) => line.startsWith('tuntap add dev tap0')));
    t.ok(hostLines(host).some((line) => line.startsWith('addr add') && line.endsWith('dev br0')));
  }
  t.notOk(hostLines('client').some((line) => /tap0|br0/.test(line)));
  t.ok(
    hostLines('client').some(
      (line) => line.startsWith('neigh replace 10.77.0.10') && line.endsWith('permanent'),
    ),
  );
  t.end();
});
