// SPDX-License-Identifier: Apache-2.0
// Traffic control against the kernel: two namespaces and a cable between them, gone with the test.

import { execFileSync, spawn } from 'node:child_process';
import t, { type Test } from 'tap';
import { UsageError } from '../../src/common/index.ts';
import {
  type CountersUndo,
  NicShaper,
  type NicUndo,
  readNicCount,
  TcSession,
  TcTakenError,
  TrafficCounters,
  undoCounters,
  undoNic,
} from '../../src/tc/index.ts';

const A = `tc-test-a-${process.pid}`;
const B = `tc-test-b-${process.pid}`;
const AT_A = { kind: 'namespace', name: A } as const;
const AT_B = { kind: 'namespace', name: B } as const;
const PEER = '10.99.0.2';

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

function inA(...argv: string[]): string {
  return execFileSync('ip', ['netns', 'exec', A, ...argv], { encoding: 'utf8', stdio: 'pipe' });
}

function cable(test: Test): void {
  for (const namespace of [A, B]) ip('netns', 'add', namespace);
  test.teardown(() => {
    for (const namespace of [A, B]) ip('netns', 'del', namespace);
  });
  ip('-n', A, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', B);
  for (const [namespace, host] of [
    [A, 1],
    [B, 2],
  ] as const) {
    ip('-n', namespace, 'addr', 'add', `10.99.0.${host}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
}

/** Packets that the other end's NIC has got so far: no program there has to keep up. */
function received(): number {
  const path = '/sys/class/net/eth0/statistics/rx_packets';
  return Number(execFileSync('ip', ['netns', 'exec', B, 'cat', path], { encoding: 'utf8' }));
}

/** What there is, as the kernel tells it; counters left out. */
function shaping(): unknown {
  const show = (what: string): string => inA('tc', what, 'show', 'dev', 'eth0');
  return [show('qdisc'), show('class'), show('filter')];
}

/** An administrator's, in place of what is there. */
function theirTbf(verb: 'add' | 'replace'): void {
  const tbf = 'handle 7: tbf rate 100mbit burst 32k limit 1m'.split(' ');
  inA('tc', 'qdisc', verb, 'dev', 'eth0', 'root', ...tbf);
}

const classes = [
  {
    name: 'migration',
    rateBytesPerSec: 2e6,
    ceilBytesPerSec: 12.5e6,
    priority: 2,
    queueBytes: 100_000,
    matches: [{ kind: 'port', side: 'destination', port: 4444 }],
  },
  {
    name: 'rest',
    rateBytesPerSec: 1e6,
    ceilBytesPerSec: 12.5e6,
    priority: 1,
    queueBytes: 100_000,
    matches: [],
  },
] as const;

const plan = { device: 'eth0', linkBytesPerSec: 12.5e6, classes };

function open(undos: NicUndo[] = [], change: object = {}): Promise<NicShaper> {
  return NicShaper.open({
    place: AT_A,
    direction: 'send',
    plan: { ...plan, ...change },
    whole: false,
    onIntent: (undo) => undos.push(undo),
    proof: { from: AT_A, address: PEER },
  });
}

t.test('a tree is built, proven, changed while traffic flows, and nothing of it stays', async (t) => {
  cable(t);
  const before = shaping();
  const undos: NicUndo[] = [];
  const shaper = await open(undos);
  t.equal(undos.length, 1, 'written down before');
  const [migration] = await shaper.stats();
  t.ok((migration?.sentPackets ?? 0) >= 3, 'the packets that prove the classifier');

  // 3 MB of datagrams at 4 MB/s, while rates go down and up: each of them arrives at the other NIC.
  const before3000 = received();
  const sender = `
const socket = require('node:dgram').createSocket('udp4');
const piece = Buffer.alloc(1000);
let left = 3000;
const timer = setInterval(() => {
  for (let i = 0; i < 20 && left > 0; i++, left--) socket.send(piece, 4444, '${PEER}');
  if (left === 0) { clearInterval(timer); setTimeout(() => process.exit(), 500); }
}, 5);`;
  const sending = spawn('ip', ['netns', 'exec', A, process.execPath, '-e', sender]);
  const sent = new Promise((resolve) => sending.once('close', resolve));
  for (let i = 0; i < 20; i++) {
    const rateBytesPerSec = i % 2 === 0 ? 6e6 : 2e6;
    await shaper.change([{ name: 'migration', rateBytesPerSec, ceilBytesPerSec: 8e6 }]);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  await sent;
  t.ok(received() - before3000 >= 3000, 'nothing that was queued is lost');
  const drops = (await shaper.stats()).reduce((sum, each) => sum + each.drops, 0);
  t.equal(drops, 0);
  await shaper.close();
  t.same(shaping(), before);
});

t.test('a class gets no more than its ceiling', async (t) => {
  cable(t);
  await using shaper = await open();
  await shaper.change([{ name: 'migration', rateBytesPerSec: 1e6, ceilBytesPerSec: 2e6 }]);
  const before = (await shaper.stats())[0]?.sentBytes ?? 0;
  const sender = `
const socket = require('node:dgram').createSocket('udp4');
const piece = Buffer.alloc(1400);
const end = Date.now() + 1500;
const next = () => (Date.now() < end ? socket.send(piece, 4444, '${PEER}', () => setImmediate(next)) : process.exit());
next();`;
  inA(process.execPath, '-e', sender);
  const sentBytes = ((await shaper.stats())[0]?.sentBytes ?? 0) - before;
  t.ok(sentBytes > 1e6 && sentBytes < 4.2e6, `${(sentBytes / 1e6).toFixed(2)} MB in 1.5 s at 2 MB/s`);
});

t.test(
  "an administrator's shaping is not replaced; an HTB of theirs is built beside, and left as it was",
  async (t) => {
    cable(t);
    theirTbf('add');
    const tbf = shaping();
    await t.rejects(open(), TcTakenError);
    t.same(shaping(), tbf);
    inA('tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
    inA('tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'handle', '7:', 'htb', 'default', '10');
    inA('tc', 'class', 'add', 'dev', 'eth0', 'parent', '7:', 'classid', '7:10', 'htb', 'rate', '50mbit');
    const htb = shaping();
    const undos: NicUndo[] = [];
    const beside = await open(undos);
    t.notSame(shaping(), htb);
    await beside.close();
    t.same(shaping(), htb);
    const left = await open(undos);
    t.ok(left);
    await undoNic(undos.at(-1)!);
    t.same(shaping(), htb, 'as another process would undo it');
  },
);

t.test('what a killed process has built another takes away, once', async (t) => {
  cable(t);
  const before = shaping();
  const undos: NicUndo[] = [];
  await open(undos);
  t.notSame(shaping(), before);
  await undoNic(undos[0]!);
  t.same(shaping(), before);
  await undoNic(undos[0]!);
  t.same(shaping(), before);
});

t.test('a NIC that is not there, a namespace that is not there, and nonsense are refused', async (t) => {
  cable(t);
  const before = shaping();
  await t.rejects(open([], { device: 'eth9' }));
  await t.rejects(open([], { device: 'eth0; reboot' }), UsageError);
  await t.rejects(
    NicShaper.open({
      place: { kind: 'namespace', name: 'nowhere-at-all' },
      direction: 'send',
      plan,
      whole: false,
      onIntent: () => undefined,
      proof: null,
    }),
  );
  await using session = TcSession.open(AT_A);
  await t.rejects(session.run(['qdisc add dev eth0 root handle 1: no-such-kind'], 'eth0'));
  t.same(shaping(), before);
});

t.test(
  'what a NIC receives is shaped by an IFB device, proven from the other end, and left as it was',
  async (t) => {
    cable(t);
    const links = (): string => inA('ip', '-br', 'link').replaceAll(/@if\d+/g, '');
    const before = [shaping(), links()];
    const undos: NicUndo[] = [];
    const openReceiving = (): Promise<NicShaper> =>
      NicShaper.open({
        place: AT_A,
        direction: 'receive',
        plan,
        whole: true,
        onIntent: (undo) => undos.push(undo),
        proof: { from: AT_B, address: '10.99.0.1' },
      });
    const shaper = await openReceiving();
    const [migration] = await shaper.stats();
    t.ok((migration?.sentPackets ?? 0) >= 3, 'the packets that prove the classifier');
    await shaper.change([{ name: 'migration', rateBytesPerSec: 1e6, ceilBytesPerSec: 2e6, priority: 3 }]);
    t.equal((await shaper.stats())[0]?.priority, 3);
    await shaper.close();
    t.same([shaping(), links()], before);
    await openReceiving();
    t.equal(await undoNic(undos.at(-1)!), true, 'as another process would undo it');
    t.equal(await undoNic(undos.at(-1)!), false, 'once');
    t.same([shaping(), links()], before);
    inA('tc', 'qdisc', 'add', 'dev', 'eth0', 'clsact');
    await t.rejects(openReceiving(), TcTakenError);
    inA('tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact');
  },
);

t.test('a flow that is found later gets a class of its own', async (t) => {
  cable(t);
  const before = shaping();
  const undos: NicUndo[] = [];
  const stream = { ...classes[0], name: 'stream', rateBytesPerSec: 1e6, matches: [] };
  const requests = { ...classes[0], name: 'requests', rateBytesPerSec: 1e6 };
  await using shaper = await open(undos, { classes: [stream, requests, classes[1]] });
  await shaper.addMatch('stream', { kind: 'ports', source: 40_001, destination: 4444 });
  const counts = async (): Promise<number[]> => (await shaper.stats()).map(({ sentPackets }) => sentPackets);
  const [streamBefore = 0, requestsBefore = 0] = await counts();
  const sender = (from: number): string => `
const socket = require('node:dgram').createSocket('udp4');
socket.bind(${from}, () => socket.send('x', 4444, '${PEER}', () => socket.close()));`;
  for (const from of [40_001, 40_002]) inA(process.execPath, '-e', sender(from));
  const [streamAfter = 0, requestsAfter = 0] = await counts();
  t.same([streamAfter - streamBefore, requestsAfter - requestsBefore], [1, 1]);
  await shaper.close();
  t.same(shaping(), before);
});

t.test('counters tell who uses a NIC, in a table of their own that goes again', async (t) => {
  cable(t);
  const ruleset = (): string => inA('nft', 'list', 'ruleset');
  const before = ruleset();
  const undos: CountersUndo[] = [];
  const counted = { device: 'eth0', vms: [{ name: 'vm', tap: 'tap0' }], ports: [4444] };
  const openCounters = (): Promise<TrafficCounters> =>
    TrafficCounters.open(AT_A, counted, (undo) => undos.push(undo));
  const counters = await openCounters();
  await t.rejects(openCounters(), TcTakenError);
  const sender = `
const { connect } = require('node:net');
const socket = connect(4444, '${PEER}');
socket.on('error', () => process.exit());`;
  inA(process.execPath, '-e', sender);
  const { migration, vms } = await counters.read();
  t.ok(migration.sent.packets >= 1, 'the SYN to the port');
  t.ok(migration.received.packets >= 1, 'and the answer');
  t.same(vms.get('vm')?.sent, { bytes: 0, packets: 0 });
  const nic = await readNicCount(AT_A, 'eth0');
  t.ok(nic.sent.packets >= migration.sent.packets);
  await counters.close();
  t.equal(ruleset(), before);
  await openCounters();
  t.equal(await undoCounters(undos.at(-1)!), true, 'as another process would undo it');
  t.equal(await undoCounters(undos.at(-1)!), false);
  t.equal(ruleset(), before);
  await t.rejects(readNicCount(AT_A, 'eth9'));
});

t.test(
  'a tree that cannot be built is taken back, and said at once; what others put there meanwhile is left',
  async (t) => {
    cable(t);
    const before = shaping();
    const undos: NicUndo[] = [];
    const wrong = { ...classes[0], matches: [{ kind: 'port', side: 'destination', port: 9 }] } as const;
    // The proof's datagrams do not go through this NIC.
    await t.rejects(
      NicShaper.open({
        place: AT_A,
        direction: 'send',
        whole: true,
        onIntent: (undo: NicUndo) => undos.push(undo),
        plan: { ...plan, classes: [wrong, classes[1]] },
        proof: { from: AT_A, address: '127.0.0.1' },
      }),
      /does not work/,
    );
    t.same(shaping(), before);
    const shaper = await open();
    theirTbf('replace');
    const theirs = shaping();
    await shaper.close();
    t.same(shaping(), theirs);
    inA('tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
    inA('tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'handle', '7:', 'htb', 'default', '10');
    await t.rejects(
      NicShaper.open({
        place: AT_A,
        direction: 'send',
        whole: true,
        plan,
        onIntent: () => undefined,
        proof: null,
      }),
      TcTakenError,
    );
  },
);
