// SPDX-License-Identifier: Apache-2.0
// The testbed's network as it is: rates, a pulled cable, two testbeds side by side, and a root namespace left alone.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Testbed } from '../../testbed/index.ts';
import { createTestbed, run } from '../../testbed/index.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root for network namespaces';
const EMPTY = { namespaces: [], processes: [], files: [], rootInterfaces: [], rootQdiscs: [] };

async function rootNetwork(): Promise<unknown> {
  const [links, qdiscs] = await Promise.all([
    run(['ip', '-j', 'link', 'show']),
    run(['tc', '-j', 'qdisc', 'show']),
  ]);
  return [JSON.parse(links.stdout), JSON.parse(qdiscs.stdout)];
}

t.test('two testbeds stand at once, each with its own rate in both directions', { skip }, async (t) => {
  const before = await rootNetwork();
  const first = await createTestbed({ name: `t-a-${process.pid}`, link: 'lan-100m' });
  t.teardown(() => first.down());
  const second = await createTestbed({ name: `t-b-${process.pid}`, link: '300mbit' });
  t.teardown(() => second.down());

  const megabits = async (testbed: Testbed, from: 'src' | 'dst', to: 'src' | 'dst') =>
    ((await testbed.measureGoodput({ from, to })) * 8) / 1e6;
  // Never more than TCP gets out of the rate; less only as far as a busy machine may hold up sender and receiver.
  const shaped = (name: string, got: number, rate: number) =>
    t.ok(got > 0.5 * rate && got < 0.96 * rate, `${name}: ${got.toFixed(1)} of ${rate} Mbit/s`);
  shaped('100 Mbit/s, src to dst', await megabits(first, 'src', 'dst'), 100);
  shaped('100 Mbit/s, dst to src', await megabits(first, 'dst', 'src'), 100);
  shaped('300 Mbit/s beside it', await megabits(second, 'src', 'dst'), 300);
  await second.setRate(6_250_000);
  shaped('set to 50 Mbit/s', await megabits(second, 'src', 'dst'), 50);

  t.same(await rootNetwork(), before, 'the root namespace is as it was while they stand');
  await first.down();
  t.same(await first.snapshotLeftovers(), EMPTY, 'nothing of the first is left');
  t.not((await second.snapshotLeftovers()).namespaces.length, 0, 'the second still stands');
  await second.down();
  await second.down();
  t.same(await second.snapshotLeftovers(), EMPTY, 'nothing of the second is left; down twice is harmless');
  t.same(await rootNetwork(), before, 'the root namespace is as it was');
});

t.test('a cut link swallows packets silently, and carries them again when restored', { skip }, async (t) => {
  const testbed = await createTestbed({ name: `t-cut-${process.pid}`, link: 'lan-1g' });
  t.teardown(() => testbed.down());
  const serverCode =
    "require('net').createServer(s=>s.on('data',d=>process.stdout.write(d))).listen(7000,()=>console.log('listening'))";
  const clientCode =
    "const s=require('net').connect(7000,'10.77.0.2',()=>console.log('connected'));" +
    "s.on('error',e=>console.log('error',e.code)).on('close',()=>console.log('closed'));process.stdin.on('data',d=>s.write(d))";
  const server = await testbed.startOn('dst', ['node', '-e', serverCode], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const received = collectLines(server.child.stdout!);
  await received.until('listening');
  const client = await testbed.startOn('src', ['node', '-e', clientCode], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const said = collectLines(client.child.stdout!);
  await said.until('connected');

  await testbed.cutLink('dst');
  client.child.stdin!.write('while cut\n');
  await delay(1500);
  t.same(received.lines, ['listening'], 'nothing arrives');
  t.same(said.lines, ['connected'], 'no reset and no error at the sender');
  for (const host of ['src', 'dst'] as const) {
    const state = await testbed.runOn(host, ['cat', '/sys/class/net/eth0/operstate']);
    t.equal(state.stdout.trim(), 'up', `the NIC of ${host} stays up`);
  }
  t.ok(
    (await testbed.measureGoodput({ from: 'client', to: 'src', durationS: 1 })) > 0,
    'other links still carry',
  );

  await testbed.restoreLink('client');
  await testbed.restoreLink('dst');
  await received.until('while cut');
  t.same(said.lines, ['connected'], 'what was sent while cut arrives by retransmission');
});

function collectLines(stream: NodeJS.ReadableStream) {
  const lines: string[] = [];
  const reader = createInterface({ input: stream }).on('line', (line) => lines.push(line));
  return {
    lines,
    async until(line: string) {
      while (!lines.includes(line)) await once(reader, 'line', { signal: AbortSignal.timeout(10_000) });
    },
  };
}
