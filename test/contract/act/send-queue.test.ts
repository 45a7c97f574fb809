// SPDX-License-Identifier: Apache-2.0
// The send queue of another process's connection, made short from outside; and what cannot be reached.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { migrationStreams, outgoingConnections } from '../../../src/act/migration-streams.ts';
import { paceBytesPerSec, sendBufferBytes } from '../../../src/act/send-queue.ts';
import { SendQueue, SendQueueError, startTicksOf } from '../../../src/act/index.ts';
import { loadAddon } from '../../../src/bitmap/index.ts';
import { run } from '../../../testbed/index.ts';

const { addon } = loadAddon();
const skip = addon === null ? 'the native addon was not built' : false;

t.test('what a stream needs: a round trip of it, and what a late sender needs', (t) => {
  t.equal(sendBufferBytes(117e6, 0.04), 22_230);
  t.equal(sendBufferBytes(117e6, 20), 2_357_550, 'a long way');
  t.equal(sendBufferBytes(1e6, 0.04), 16 * 1024, 'never nothing');
  t.end();
});

t.test('a stream is paced by what its busiest connection was seen to carry', (t) => {
  const stream = { minRttUs: 40, ackedBytes: 23.6e6, busyUs: 200_000, queuedBytes: 0 };
  const requests = { minRttUs: 40, ackedBytes: 1, busyUs: 0, queuedBytes: 0 };
  t.equal(paceBytesPerSec([requests, stream]), 116_820_000);
  t.equal(paceBytesPerSec([requests, { ...stream, busyUs: 20_000 }]), null, 'too short to tell');
  t.equal(paceBytesPerSec([]), null);
  t.end();
});

t.test('connections that go out are told apart from all others', (t) => {
  const row = (local: string, remote: string, state: string, inode: string): string =>
    `   0: 0100007F:${local} 0200007F:${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1`;
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    row('D431', '115C', '01', '11'),
    row('D432', '115C', '06', '12'),
    row('170C', '0000', '0A', '13'),
    row('170C', 'D001', '01', '14'),
    '',
  ].join('\n');
  t.same(outgoingConnections(text), [{ inode: '11', remote: '0200007F:115C' }], 'not a VNC client’s');
  t.same(outgoingConnections(''), []);
  t.end();
});

t.test('the connections of a migration are known by what QEMU has sent', (t) => {
  const stream = { name: 'stream', remote: '0200007F:115C', givenBytes: 61e6 };
  const requests = { name: 'requests', remote: '0200007F:115C', givenBytes: 0 };
  const others = [
    { name: 'NFS', remote: '0300007F:0801', givenBytes: 3e6 },
    { name: 'mirror of a disk', remote: '0200007F:2775', givenBytes: 900e6 },
    { name: 'same port, another host', remote: '0300007F:115C', givenBytes: 1e6 },
  ];
  t.same(migrationStreams([...others, requests, stream], 62e6), [requests, stream]);
  t.same(migrationStreams(others, 62e6), [], 'through somebody else’s hands');
  t.same(migrationStreams([], 62e6), []);
  t.same(migrationStreams([{ remote: 'x', givenBytes: 0 }], 0), [], 'nothing was sent yet');
  const quarters = [1, 2, 3, 4].map(() => ({ remote: 'x', givenBytes: 15e6 }));
  t.same(migrationStreams(quarters, 62e6), [], 'over several connections at once');
  t.end();
});

/** A process with one connection from the beginning, and on demand one more that sends all the time. */
async function sender(t: Tap, before: number, later: number) {
  // Always something to send, so that TCP sees what the way carries.
  const code = `const { connect } = require('node:net');
    const early = connect(${before}, '127.0.0.1', () => { early.write('x'); console.log('ready'); });
    process.stdin.once('data', () => {
      const socket = connect(${later}, '127.0.0.1', () => console.log('connected'));
      const send = () => { while (socket.write(Buffer.alloc(65536))); };
      socket.on('drain', send);
      send();
    });`;
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const child = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? 0,
    connect: async (): Promise<void> => {
      child.stdin.write('now');
      await once(child.stdout, 'data');
    },
  };
}

/** A server that takes what comes, and counts it. */
async function counter(t: Tap) {
  let receivedBytes = 0;
  const server = createServer((socket) => {
    socket.on('data', (chunk) => (receivedBytes += chunk.length));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, receivedBytes: () => receivedBytes };
}

type Tap = Pick<typeof t, 'teardown'>;

const instanceOf = (pid: number, startTicks: number | null = startTicksOf(pid)) => ({
  end: 'source' as const,
  address: '/run/x',
  uuid: '',
  vcpuThreadId: pid,
  startTicks,
});

t.test('the queue of another process is made short', { skip }, async (t) => {
  if (addon === null) return;
  const [other, destination] = [await counter(t), await counter(t)];
  const { pid, connect } = await sender(t, other.port, destination.port);
  const sendBuffer = async ({ port }: typeof other): Promise<number> => {
    const { stdout } = await run(['ss', '-tmnHO', 'dst', `127.0.0.1:${port}`]);
    return Number(/,tb(\d+)/.exec(stdout)?.[1]);
  };
  const untouched = await sendBuffer(other);
  const queue = SendQueue.open(addon.sockets, instanceOf(pid), null);
  t.notOk(queue.mayHaveStream(), 'what was there before is no migration’s');
  await connect();
  t.ok(queue.mayHaveStream());
  const shorten = (paced: boolean): void => queue.shorten(1e6, paced, destination.receivedBytes());
  // Queues of 33 and 4 MB (the most that Linux gives) are little beside it, though this receiver wait for its CPU.
  while (destination.receivedBytes() < 256e6) await delay(5);
  t.ok(queue.hasStream(destination.receivedBytes()));
  t.notOk(queue.hasStream(destination.receivedBytes() * 10), 'it carries something else');
  const elsewhere = SendQueue.open(addon.sockets, instanceOf(pid), other.port);
  t.notOk(elsewhere.mayHaveStream(), 'not to that port');
  const before = await sendBuffer(destination);
  t.ok(before > 64 * 1024, `opening it changed nothing: ${before}`);
  shorten(false);
  t.equal(await sendBuffer(destination), 2 * 16 * 1024, 'the kernel counts its own bookkeeping');
  /** The limit that its rate is shown with; null: none. */
  const limit = async (): Promise<number | null> => {
    const { stdout } = await run(['ss', '-tinHO', 'dst', `127.0.0.1:${destination.port}`]);
    const bitsPerSec = /pacing_rate \d+bps\/(\d+)bps/.exec(stdout)?.[1];
    return bitsPerSec === undefined ? null : Number(bitsPerSec) / 8;
  };
  t.equal(await limit(), null);
  // As soon as TCP has seen for long enough what the way carries.
  for (let i = 0; i < 500 && (await limit()) === null; i++) shorten(true);
  t.ok(await limit());
  queue.endPacing();
  t.equal(await limit(), null);
  t.equal(await sendBuffer(other), untouched);
  t.throws(() => queue.shorten(1e6, true, 1e15), { message: /no connection of QEMU carries the migration/ });
});

t.test('what cannot be reached is said, and why', { skip }, (t) => {
  if (addon === null) {
    t.end();
    return;
  }
  const { sockets } = addon;
  t.throws(
    () => SendQueue.open(sockets, instanceOf(process.pid, null), 4444),
    SendQueueError,
    'another host',
  );
  t.throws(
    () => SendQueue.open(sockets, instanceOf(2 ** 22 + 1, 1), 4444),
    SendQueueError,
    'no such process',
  );
  const mine = SendQueue.open(sockets, instanceOf(process.pid), null);
  t.throws(() => mine.shorten(1e6, true, 1e6), { message: /no connection of QEMU carries the migration/ });
  t.doesNotThrow(() => mine.endPacing(), 'nothing was paced');
  t.throws(() => sockets.tcpPath(process.pid, 1_000_000), /Bad file descriptor/);
  t.throws(() => sockets.setSendBuffer(process.pid, -1, 1), RangeError);
  t.throws(() => sockets.setSendBuffer(process.pid, 0, Number.NaN), RangeError);
  t.throws(() => sockets.setPacingRate(process.pid, 0, -1), RangeError);
  const refused = {
    ...sockets,
    mayBorrow: () => {
      throw new Error('Operation not permitted');
    },
  };
  t.throws(() => SendQueue.open(refused, instanceOf(process.pid), null), /Operation not permitted/);
  t.end();
});
