// SPDX-License-Identifier: Apache-2.0
// From a byte stream to a running session, and every way in which that fails.

import t from 'tap';
import type { QmpCommandError } from '../../../src/qmp/index.ts';
import {
  QmpConnectError,
  QmpGreetingTimeoutError,
  QmpNegotiationError,
  QmpProtocolError,
  QmpStateError,
  connectQmp,
  connectQmpOver,
  parseJsonLossless,
} from '../../../src/qmp/index.ts';
import { FakeQmpFailure, NO_REPLY, formatEvent, usualGreeting } from '../support/fake-qmp-server.ts';
import type { FakeQmpOptions, FakeQmpServer } from '../support/fake-qmp-server.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { PipeTransport } from '../support/pipe-transport.ts';
import { rejection, serve, settle } from '../support/qmp-helpers.ts';

function idOf(line: string): string {
  return (parseJsonLossless(line) as { readonly id: string }).id;
}

/** A whole session over a pipe; what came of it as one comparable value. */
async function wholeSession(
  cuts: ReadonlySet<number> | 'everywhere',
  lineEnd: string,
): Promise<readonly unknown[]> {
  const pipe = new PipeTransport(usualGreeting().trim() + lineEnd, cuts, (text, peer) => {
    const id = idOf(text);
    const reply = (body: string): void => peer.deliver(`{${body}, "id": "${id}"}${lineEnd}`);
    if (text.includes('qmp_capabilities')) {
      peer.deliver(formatEvent('WAKEUP').trim() + lineEnd);
      reply('"return": {}');
    } else if (text.includes('query-name')) {
      peer.deliver(formatEvent('STOP', { 'é😀': '\u2028' }).trim() + lineEnd);
      reply('"return": {"name": "Grüße 😀 \\ud83d\\ude00", "big": 18446744073709551615}');
    } else {
      reply('"error": {"class": "GenericError", "desc": "ä"}');
      peer.deliver(formatEvent('RESUME').trim() + lineEnd);
    }
  });
  const client = await connectQmpOver(pipe, { clock: new ManualClock() });
  const events = client.events();
  const name = await client.executeRaw('query-name');
  const error = (await rejection(client.execute('cont'))) as QmpCommandError;
  const seen = [await events.next(), await events.next(), await events.next()].map(
    (result) => [result.value?.name, result.value?.data, result.value?.timestampUs] as const,
  );
  const { bytesReceived } = client.stats;
  await client.close();
  return [name, error.desc, seen, client.greeting.version.package, bytesReceived === pipe.delivered];
}

t.test('a session is the same however its bytes are cut', async (t) => {
  for (const lineEnd of ['\r\n', '\n']) {
    const whole = await wholeSession(new Set(), lineEnd);
    t.match(whole, [
      { name: 'Grüße 😀 😀', big: 18446744073709551615n },
      'ä',
      [
        ['WAKEUP', {}, 1_700_000_000_123_456],
        ['STOP', { 'é😀': '\u2028' }, 1_700_000_000_123_456],
        ['RESUME', {}, 1_700_000_000_123_456],
      ],
      'fake',
      true,
    ]);
    t.same(await wholeSession('everywhere', lineEnd), whole, 'byte by byte');
    const differing: number[] = [];
    for (let cut = 1; cut < 800; cut += 1) {
      const result = await wholeSession(new Set([cut]), lineEnd);
      if (JSON.stringify(result, stringBig) !== JSON.stringify(whole, stringBig)) differing.push(cut);
    }
    t.same(differing, [], 'one cut, at every byte');
  }
});

function stringBig(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

t.test('a session over a socket, one byte at a time', async (t) => {
  const server = await serve(t, {
    split: (bytes) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
    handlers: { 'query-status': () => ({ status: 'running', running: true }) },
  });
  const client = await connectQmp(server.address);
  const status = await client.execute('query-status');
  t.equal(status.status, 'running');
  t.equal(client.state, 'running');
  t.equal(client.greeting.version.qemu.major, 10);
  await client.close();
  t.equal(client.state, 'closed');
  t.same(await client.closed, { error: undefined });
});

t.test('out-of-band commands are enabled where offered, and only there', async (t) => {
  const offering = await serve(t);
  const with_ = await connectQmp(offering.address);
  t.same(offering.received[0]?.args, { enable: ['oob'] });
  t.ok(with_.oob);
  await with_.close();

  const plain = await serve(t, { capabilities: [] });
  const without = await connectQmp(plain.address);
  t.same(plain.received[0]?.args, {});
  t.notOk(without.oob);
  const error = await rejection(without.executeOob('migrate-pause'));
  t.type(error, QmpStateError);
  t.equal(plain.received.length, 1, 'nothing was sent');
  await without.close();
});

const HANDSHAKE_FAULTS: readonly {
  readonly name: string;
  readonly options: FakeQmpOptions;
  readonly type: new (...args: never[]) => Error;
  readonly says: RegExp;
}[] = [
  {
    name: 'a busy monitor: accepts and never greets',
    options: { greeting: null },
    type: QmpGreetingTimeoutError,
    says: /not one byte/,
  },
  {
    name: 'half a line, then silence',
    options: { greeting: '{"QMP": {"ver' },
    type: QmpProtocolError,
    says: /13 bytes and no whole greeting.*ver/,
  },
  {
    name: 'garbage',
    options: { greeting: 'SSH-2.0-OpenSSH_9.2\r\n' },
    type: QmpProtocolError,
    says: /SSH-2\.0/,
  },
  {
    name: 'JSON that is no greeting',
    options: { greeting: '{"hello": 1}\n' },
    type: QmpProtocolError,
    says: /hello/,
  },
  {
    name: 'a reply before the greeting',
    options: { greeting: '{"return": {}}\n' },
    type: QmpProtocolError,
    says: /before/,
  },
  {
    name: 'a greeting without version',
    options: { greeting: '{"QMP": {}}\n' },
    type: QmpProtocolError,
    says: /QMP/,
  },
  {
    name: 'a greeting, then garbage in the same chunk',
    options: { greeting: `${usualGreeting()}garbage\n` },
    type: QmpProtocolError,
    says: /garbage/,
  },
  {
    name: 'the end before the greeting',
    options: { greeting: null, onConnection: (socket) => socket.end() },
    type: QmpConnectError,
    says: /before its greeting/,
  },
  {
    name: 'a reset before the greeting',
    options: { greeting: null, onConnection: (socket) => socket.resetAndDestroy(), tcp: true },
    type: QmpConnectError,
    says: /before its greeting/,
  },
  {
    name: 'an error reply to qmp_capabilities',
    options: {
      handlers: {
        qmp_capabilities: () => {
          throw new FakeQmpFailure('no such capability');
        },
      },
    },
    type: QmpNegotiationError,
    says: /no such capability/,
  },
  {
    name: 'no reply to qmp_capabilities',
    options: { handlers: { qmp_capabilities: () => NO_REPLY } },
    type: QmpNegotiationError,
    says: /no reply to qmp_capabilities/,
  },
  {
    name: 'an endless line',
    options: { greeting: 'x'.repeat(3000) },
    type: QmpProtocolError,
    says: /longer than the limit of 2000 bytes/,
  },
];

for (const { name, options, type, says } of HANDSHAKE_FAULTS) {
  t.test(`connecting fails with an error of its own: ${name}`, async (t) => {
    const server = await serve(t, options);
    const clock = new ManualClock();
    const connecting = rejection(
      connectQmp(server.address, { clock, greetingTimeoutMs: 10, maxLineBytes: 2000 }),
    );
    // Time passes only after much idling, so that no fault is covered up by the deadline.
    const ticking = setInterval(() => clock.advance(10), 100);
    const error = await connecting;
    clearInterval(ticking);
    t.type(error, type);
    t.match((error as Error).message, says);
    await settle(() => server.openConnections === 0);
    t.equal(clock.sleeping, 0, 'no timer is left');
  });
}

t.test('the peer leaves during the negotiation', async (t) => {
  const server: FakeQmpServer = await serve(t, {
    handlers: {
      qmp_capabilities: () => {
        server.cut();
        return NO_REPLY;
      },
    },
  });
  const error = await rejection(connectQmp(server.address));
  t.type(error, QmpNegotiationError);
  t.match((error as Error).message, /peer closed|ECONNRESET|EPIPE/);
});

t.test('an abort while connecting passes its reason through and leaves nothing open', async (t) => {
  const server = await serve(t, { greeting: null });
  const clock = new ManualClock();
  const controller = new AbortController();
  const reason = new Error('the user pressed a key');
  const connecting = rejection(connectQmp(server.address, { signal: controller.signal, clock }));
  await settle(() => server.openConnections === 1);
  controller.abort(reason);
  t.equal(await connecting, reason);
  await settle(() => server.openConnections === 0);
  t.equal(clock.sleeping, 0);
  t.equal(await rejection(connectQmp(server.address, { signal: AbortSignal.abort(reason) })), reason);
  t.equal(server.connectionCount, 1, 'with an aborted signal nothing is even tried');
});
