// SPDX-License-Identifier: Apache-2.0
// The send queue of another process's connection, made short from outside; and what cannot be reached.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { inodesTo, paceBytesPerSec, sendBufferBytes } from '../../../src/act/send-queue.ts';
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
  const stream = { minRttUs: 40, ackedBytes: 23.6e6, busyUs: 200_000 };
  const requests = { minRttUs: 40, ackedBytes: 1, busyUs: 0 };
  t.equal(paceBytesPerSec([requests, stream]), 116_820_000);
  t.equal(paceBytesPerSec([requests, { ...stream, busyUs: 20_000 }]), null, 'too short to tell');
  t.equal(paceBytesPerSec([]), null);
  t.end();
});

t.test('connections to a port are told apart from all others', (t) => {
  const row = (remote: string, state: string, inode: string): string =>
    `   0: 0100007F:D431 0100007F:${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1`;
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    row('115C', '01', '11'),
    row('115D', '01', '12'),
    row('115C', '06', '13'),
    '',
  ].join('\n');
  t.same(inodesTo(4444, text), ['11']);
  t.same(inodesTo(4444, ''), []);
  t.end();
});

/** A process with one connection to `port`, until the test is over. */
async function connected(t: Tap, port: number): Promise<number> {
  // Sends all the time, so that TCP sees what the way carries.
  const code = `const socket = require('node:net').connect(${port}, '127.0.0.1', () => console.log('connected'));
    const send = () => { while (socket.write(Buffer.alloc(65536))); };
    socket.on('drain', send);
    send();`;
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
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
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pid = await connected(t, port);
  const sendBuffer = async (): Promise<number> => {
    const { stdout } = await run(['ss', '-tmnHO', 'dst', `127.0.0.1:${port}`]);
    return Number(/,tb(\d+)/.exec(stdout)?.[1]);
  };
  const queue = SendQueue.open(addon.sockets, instanceOf(pid), port);
  const before = await sendBuffer();
  t.ok(before > 64 * 1024, `opening it changed nothing: ${before}`);
  queue.shorten(1e6, false);
  t.equal(await sendBuffer(), 2 * 16 * 1024, 'the kernel counts its own bookkeeping');
  /** The limit that its rate is shown with; null: none. */
  const limit = async (): Promise<number | null> => {
    const { stdout } = await run(['ss', '-tinHO', 'dst', `127.0.0.1:${port}`]);
    const bitsPerSec = /pacing_rate \d+bps\/(\d+)bps/.exec(stdout)?.[1];
    return bitsPerSec === undefined ? null : Number(bitsPerSec) / 8;
  };
  t.equal(await limit(), null);
  // As soon as TCP has seen for long enough what the way carries.
  while ((await limit()) === null) queue.shorten(1e6, true);
  queue.endPacing();
  t.equal(await limit(), null);
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
  const mine = SendQueue.open(sockets, instanceOf(process.pid), 1);
  t.throws(() => mine.shorten(1e6, true), { message: /no connection to port 1/ });
  t.throws(() => mine.endPacing(), { message: /no connection to port 1/ });
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
  t.throws(() => SendQueue.open(refused, instanceOf(process.pid), 1), /Operation not permitted/);
  t.end();
});
