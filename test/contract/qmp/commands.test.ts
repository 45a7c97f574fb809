// SPDX-License-Identifier: Apache-2.0
// Commands against a peer that answers, errs, stalls, lies and dies.

import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import {
  MAX_IN_BAND_IN_FLIGHT,
  QmpCommandError,
  QmpDisconnectedError,
  QmpProtocolError,
  QmpStateError,
  QmpTimeoutError,
  connectQmp,
  isQmpObject,
} from '../../../src/qmp/index.ts';
import { FakeQmpFailure, NO_REPLY, usualGreeting } from '../support/fake-qmp-server.ts';
import type { FakeQmpServer, ReceivedCommand } from '../support/fake-qmp-server.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { rejection, serve, settle } from '../support/qmp-helpers.ts';

t.test('replies are matched by id, events between them are delivered', async (t) => {
  const held: ReceivedCommand[] = [];
  const server: FakeQmpServer = await serve(t, {
    handlers: {
      'query-name': (_args, command) => {
        held.push(command);
        server.emit('STOP');
        return NO_REPLY;
      },
    },
  });
  const client = await connectQmp(server.address);
  const events = client.events(['STOP']);
  const first = client.executeRaw('query-name', { n: 1 });
  const second = client.executeRaw('query-name', { n: 2 });
  await settle(() => held.length === 2);
  held[1]?.reply('second');
  held[0]?.reply('first');
  t.same(await Promise.all([first, second]), ['first', 'second'], 'also when they come in another order');
  t.equal((await events.next()).value?.name, 'STOP');
  t.equal((await events.next()).value?.name, 'STOP');
  const ids = server.received.map((command) => command.id);
  t.equal(new Set(ids).size, 3, 'each command has an id of its own');
  const other = await connectQmp(server.address);
  t.notOk(ids.includes(server.received.at(-1)?.id), 'also across sessions');
  await other.close();
  await client.close();
});

t.test('replies with unknown ids are dropped and counted', async (t) => {
  const server: FakeQmpServer = await serve(t, {
    handlers: {
      'query-name': (_args, command) => {
        server.send('{"return": "wrong", "id": "nobody"}\n{"return": 1, "id": 7}\n');
        server.send('{"error": {"class": "GenericError", "desc": "x"}, "id": {"a": 1}}\n');
        command.reply({ name: 'right' });
        command.reply({ name: 'again' });
        return NO_REPLY;
      },
    },
  });
  const client = await connectQmp(server.address);
  t.same(await client.execute('query-name'), { name: 'right' });
  await settle(() => client.stats.unknownReplies === 4);
  t.equal(client.state, 'running');
  t.same(await client.executeRaw('query-name'), { name: 'right' });
  await client.close();
});

t.test('an error of QEMU has class and text, and leaves the connection as it was', async (t) => {
  const server = await serve(t, {
    handlers: {
      migrate: () => {
        throw new FakeQmpFailure('bad uri');
      },
      'query-status': () => ({ status: 'running', running: true }),
    },
  });
  const client = await connectQmp(server.address);
  const generic = await rejection(client.execute('migrate', { uri: 'x' }));
  t.match(generic, {
    command: 'migrate',
    errorClass: 'GenericError',
    desc: 'bad uri',
    code: 'ERR_QMP_COMMAND',
  });
  const missing = await rejection(client.executeRaw('no-such'));
  t.type(missing, QmpCommandError);
  t.equal((missing as QmpCommandError).errorClass, 'CommandNotFound');
  t.equal((await client.execute('query-status')).running, true);
  await client.close();
});

t.test('replies of many MiB and integers of 64 bits, both ways', async (t) => {
  const text = 'ä1234567890123456789"\\'.repeat(500_000);
  const server = await serve(t, { handlers: { echo: (args) => args } });
  const client = await connectQmp(server.address);
  const big = { text, integers: [18446744073709551615n, -9223372036854775808n, 9007199254740991] };
  const echoed = await client.executeRaw('echo', big);
  t.ok(isQmpObject(echoed) && echoed['text'] === text, 'a line of more than 10 MiB');
  t.ok(client.stats.bytesReceived > 10 * 1024 * 1024);
  t.same(isQmpObject(echoed) && echoed['integers'], big.integers);
  await client.close();
});

t.test('a line beyond the limit ends the session with a typed error', async (t) => {
  const server = await serve(t, { handlers: { 'query-name': () => ({ name: 'x'.repeat(5000) }) } });
  const client = await connectQmp(server.address, { maxLineBytes: 4096 });
  const error = (await rejection(client.execute('query-name'))) as QmpDisconnectedError;
  t.type(error, QmpDisconnectedError);
  t.type(error.cause, QmpProtocolError);
  t.equal((error.cause as QmpProtocolError).tail.length, 200);
});

t.test('garbage in a running session wakes every waiter with the same cause', async (t) => {
  const server = await serve(t, { handlers: { 'query-name': () => NO_REPLY } });
  const client = await connectQmp(server.address);
  const events = client.events();
  const waiting = Array.from({ length: 12 }, () => rejection(client.execute('query-name')));
  const next = rejection(events.next());
  await settle(() => server.mostInBand === MAX_IN_BAND_IN_FLIGHT);
  server.emit('STOP');
  server.send('\x00\x01 not json\n');
  const errors = (await Promise.all(waiting)) as QmpDisconnectedError[];
  t.ok(errors.every((error) => error instanceof QmpDisconnectedError && error.command === 'query-name'));
  const causes = new Set(errors.map((error) => error.cause));
  t.equal(causes.size, 1);
  t.type([...causes][0], QmpProtocolError);
  t.equal(await next, undefined, 'what came before it is delivered');
  const ended = (await rejection(events.next())) as QmpDisconnectedError;
  t.equal(ended.cause, [...causes][0]);
  const { error } = await client.closed;
  t.equal(error?.cause, [...causes][0]);
  const late = (await rejection(client.execute('stop'))) as QmpStateError;
  t.type(late, QmpStateError);
  t.equal(late.state, 'closed');
  t.equal(late.cause, [...causes][0]);
});

for (const [name, line] of [
  ['an error without id', '{"error": {"class": "GenericError", "desc": "JSON parse error"}}'],
  ['a return without id', '{"return": {}}'],
  ['a second greeting', usualGreeting().trim()],
  ['an unknown message', '{"what": 1, "id": 2}'],
] as const) {
  t.test(`${name} ends the session as a protocol error`, async (t) => {
    const server: FakeQmpServer = await serve(t, {
      handlers: {
        'query-name': () => {
          server.send(`${line}\n`);
          return NO_REPLY;
        },
      },
    });
    const client = await connectQmp(server.address);
    const error = (await rejection(client.execute('query-name'))) as QmpDisconnectedError;
    t.type(error, QmpDisconnectedError);
    t.type(error.cause, QmpProtocolError);
    await client.closed;
    await settle(() => server.openConnections === 0);
  });
}

t.test('the peer is killed in the middle of a command', async (t) => {
  const server = await serve(t, { handlers: { migrate: () => NO_REPLY } });
  const client = await connectQmp(server.address);
  const arrived = server.next('migrate');
  const migrating = rejection(client.execute('migrate', { uri: 'tcp:x:1' }));
  await arrived;
  server.cut();
  const error = (await migrating) as QmpDisconnectedError;
  t.type(error, QmpDisconnectedError);
  t.equal(error.command, 'migrate');
  t.match(error.remedy, /query the state/);
  t.equal((await client.closed).error?.cause, error.cause);
  t.equal(client.state, 'closed');
});

t.test('commands in band are limited so that those out of band always pass', async (t) => {
  const stuck: ReceivedCommand[] = [];
  const server = await serve(t, {
    handlers: {
      'query-name': (_args, command) => {
        stuck.push(command);
        return new Promise(() => undefined);
      },
      'migrate-pause': () => ({}),
      'query-status': () => ({ status: 'running', running: true }),
    },
  });
  const client = await connectQmp(server.address);
  const commands = Array.from({ length: 20 }, () => rejection(client.execute('query-name')));
  t.same(
    await client.executeOob('migrate-pause'),
    {},
    'passes those in flight and those queued on this side',
  );
  t.equal(server.mostInBand, MAX_IN_BAND_IN_FLIGHT);
  t.match(client.stats, { inFlight: MAX_IN_BAND_IN_FLIGHT, queued: 20 - MAX_IN_BAND_IN_FLIGHT });
  t.ok(server.received.at(-1)?.oob, 'sent as exec-oob');
  await client.close();
  const errors = await Promise.all(commands);
  t.ok(errors.every((error) => error instanceof QmpDisconnectedError));
});

t.test('commands queued on this side go out in order as replies come in', async (t) => {
  const server = await serve(t, { handlers: { echo: (args) => args } });
  const client = await connectQmp(server.address);
  const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => client.executeRaw('echo', { n })));
  t.same(
    replies,
    Array.from({ length: 50 }, (_, n) => ({ n })),
  );
  t.same(
    server.received.slice(1).map((command) => command.args['n']),
    Array.from({ length: 50 }, (_, n) => n),
  );
  t.ok(server.mostInBand <= MAX_IN_BAND_IN_FLIGHT);
  t.match(client.stats, { inFlight: 0, queued: 0, commandsSent: 51 });
  await client.close();
});

t.test(
  'a deadline ends the waiting, not the connection; the late reply is dropped and counted',
  async (t) => {
    const clock = new ManualClock();
    const server = await serve(t, {
      handlers: { stop: () => NO_REPLY, 'query-status': () => ({ status: 'paused', running: false }) },
    });
    const client = await connectQmp(server.address, { clock });
    const arrived = server.next('stop');
    const stopping = rejection(client.execute('stop', {}, { timeoutMs: 100 }));
    const command = await arrived;
    clock.advance(99);
    await turn();
    t.equal(client.stats.inFlight, 1);
    clock.advance(1);
    const error = (await stopping) as QmpTimeoutError;
    t.type(error, QmpTimeoutError);
    t.match(error, { command: 'stop', timeoutMs: 100, sent: true });
    t.match(error.message, /may still be carried out/);
    t.equal(client.stats.inFlight, 1, 'QEMU still has it');
    t.equal((await client.execute('query-status')).status, 'paused');
    command.reply({});
    await settle(() => client.stats.lateReplies === 1);
    t.match(client.stats, { inFlight: 0, unknownReplies: 0 });
    t.equal(client.state, 'running');
    t.equal(clock.sleeping, 0, 'no timer is left');
    await client.close();
  },
);

t.test('given up commands keep their place in flight; those not sent yet are never sent', async (t) => {
  const clock = new ManualClock();
  const held: ReceivedCommand[] = [];
  const server = await serve(t, {
    handlers: {
      'query-name': (_args, command) => {
        held.push(command);
        return NO_REPLY;
      },
      'query-uuid': () => ({ UUID: 'u' }),
    },
  });
  const client = await connectQmp(server.address, { clock });
  const controller = new AbortController();
  const reason = new Error('enough');
  const options = { timeoutMs: 50, signal: controller.signal };
  const sent = Array.from({ length: MAX_IN_BAND_IN_FLIGHT }, () =>
    rejection(client.execute('query-name', {}, options)),
  );
  const queued = rejection(client.execute('query-kvm', {}, { timeoutMs: 50 }));
  const patient = client.execute('query-uuid');
  await settle(() => held.length === MAX_IN_BAND_IN_FLIGHT);
  controller.abort(reason);
  t.ok(
    (await Promise.all(sent)).every((error) => error === reason),
    'an abort gives its reason as it is',
  );
  clock.advance(50);
  const error = (await queued) as QmpTimeoutError;
  t.match(error, { command: 'query-kvm', sent: false });
  t.match(error.message, /was not sent/);
  t.equal(server.received.length, 1 + MAX_IN_BAND_IN_FLIGHT, 'a given up command does not make room');
  for (const command of held) command.reply({});
  t.same(await patient, { UUID: 'u' });
  t.notOk(server.received.some((command) => command.name === 'query-kvm'));
  t.equal(client.stats.lateReplies, MAX_IN_BAND_IN_FLIGHT);
  const before = client.stats.commandsSent;
  t.equal(await rejection(client.execute('stop', {}, { signal: controller.signal })), reason);
  t.equal(client.stats.commandsSent, before, 'an aborted signal sends nothing');
  t.equal(clock.sleeping, 0);
  await client.close();
});

t.test('close() is idempotent, wakes waiters and leaves no timer', async (t) => {
  const clock = new ManualClock();
  const server = await serve(t, { handlers: { stop: () => NO_REPLY } });
  const client = await connectQmp(server.address, { clock });
  const events = client.events();
  const stopping = rejection(client.execute('stop'));
  const next = events.next();
  const closing = client.close();
  t.equal(client.state, 'closing');
  await Promise.all([closing, client.close(), client[Symbol.asyncDispose]()]);
  t.equal(client.state, 'closed');
  t.type(await stopping, QmpDisconnectedError);
  t.same(await next, { done: true, value: undefined }, 'a stream ends normally when we end it');
  t.same(await client.events().next(), { done: true, value: undefined }, 'and so does one opened later');
  t.same(await client.closed, { error: undefined });
  t.equal(clock.sleeping, 0);
  await settle(() => server.openConnections === 0);
});

t.test('the schema is read once, and a failure to read it is not remembered', async (t) => {
  let fail = true;
  const server = await serve(t, {
    handlers: {
      'query-qmp-schema': () => {
        if (fail) throw new FakeQmpFailure('not now');
        return [{ name: 'stop', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '0' }];
      },
    },
  });
  const client = await connectQmp(server.address);
  t.type(await rejection(client.readSchema()), QmpCommandError);
  fail = false;
  const [one, two] = await Promise.all([client.readSchema(), client.readSchema()]);
  t.equal(one, two);
  t.ok(one.hasCommand('stop'));
  t.equal(server.received.length, 3);
  await client.close();
});

t.test('arguments that JSON cannot hold reject without sending or leaking', async (t) => {
  const clock = new ManualClock();
  const server = await serve(t);
  const client = await connectQmp(server.address, { clock });
  t.type(await rejection(client.executeRaw('stop', { a: NaN })), TypeError);
  t.type(await rejection(client.executeRaw('stop', {}, { timeoutMs: -1 })), RangeError);
  t.equal(client.stats.commandsSent, 1);
  t.equal(clock.sleeping, 0);
  await client.close();
});
