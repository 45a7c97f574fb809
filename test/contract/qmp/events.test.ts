// SPDX-License-Identifier: Apache-2.0
// Events: order, clocks, filters, slow listeners. And the types of both, which the compiler checks.

import t from 'tap';
import { connectQmp } from '../../../src/qmp/index.ts';
import type { QmpClient, QmpEvent, QmpRawEvent } from '../../../src/qmp/index.ts';
import { NO_REPLY } from '../support/fake-qmp-server.ts';
import type { FakeQmpServer } from '../support/fake-qmp-server.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { rejection, serve, settle } from '../support/qmp-helpers.ts';

t.test('events of the handshake reach every listener that opens before the first command', async (t) => {
  const server: FakeQmpServer = await serve(t, {
    handlers: {
      qmp_capabilities: (_args, command) => {
        server.emit('STOP');
        command.reply({});
        server.emit('RESUME');
        return NO_REPLY;
      },
      'query-name': () => ({}),
    },
  });
  const client = await connectQmp(server.address);
  await settle(() => client.stats.events === 2);
  const all = client.events();
  const resumes = client.events(['RESUME']);
  t.equal((await all.next()).value?.name, 'STOP');
  t.equal((await all.next()).value?.name, 'RESUME');
  t.equal((await resumes.next()).value?.name, 'RESUME');
  await client.execute('query-name');
  t.equal(client.events().queued, 0, 'one that opens after it begins with the present');
  await client.close();
});

t.test('events carry both clocks, their data, and a type by name', async (t) => {
  const clock = new ManualClock();
  const server = await serve(t);
  const client = await connectQmp(server.address, { clock });
  const events = client.events(['MIGRATION_PASS', 'MIGRATION']);
  clock.advance(5);
  server.emit('NIC_RX_FILTER_CHANGED', { name: 'n' });
  server.emit('MIGRATION', { status: 'postcopy-device' });
  server.emit('MIGRATION_PASS', { pass: 3 }, 1_700_000_001_000_007);
  const seen: QmpEvent<'MIGRATION' | 'MIGRATION_PASS'>[] = [];
  for await (const event of events) {
    seen.push(event);
    if (event.name === 'MIGRATION_PASS') {
      const pass: number = event.data.pass;
      t.equal(pass, 3);
      break;
    }
    // A status that the QEMU of the types does not have.
    t.ok(event.data.status === 'postcopy-device');
  }
  t.same(
    seen.map((event) => [event.timestampUs, event.receivedMs]),
    [
      [1_700_000_000_123_456, 1005],
      [1_700_000_001_000_007, 1005],
    ],
  );
  server.emit('MIGRATION', { status: 'active' });
  await settle(() => client.stats.events === 4);
  t.equal(events.queued, 0, 'leaving the loop has closed the stream');
  await client.close();
});

t.test('a slow listener loses its oldest events, counted, and holds up nobody', async (t) => {
  const server = await serve(t, { handlers: { 'query-name': () => ({ name: 'n' }) } });
  const client = await connectQmp(server.address, { maxQueuedEvents: 100 });
  const slow = client.events(undefined, { maxQueued: 3 });
  const roomy = client.events();
  for (let pass = 1; pass <= 10; pass += 1) server.emit('MIGRATION_PASS', { pass });
  t.same(await client.execute('query-name'), { name: 'n' });
  t.match(slow, { dropped: 7, queued: 3 });
  t.match(roomy, { dropped: 0, queued: 10 });
  t.equal(client.stats.eventsDropped, 7);
  t.same((await slow.next()).value?.data, { pass: 8 });
  t.same((await roomy.next()).value?.data, { pass: 1 });
  t.throws(() => client.events(undefined, { maxQueued: 0 }), RangeError);
  await client.close();
  const rest: QmpRawEvent[] = [];
  for await (const event of roomy) rest.push(event);
  t.equal(rest.length, 9, 'what was queued is still there after the end');
});

t.test('an abort ends an event stream with its reason', async (t) => {
  const server = await serve(t);
  const client = await connectQmp(server.address);
  const controller = new AbortController();
  const events = client.events(undefined, { signal: controller.signal });
  const next = rejection(events.next());
  const reason = new Error('enough');
  controller.abort(reason);
  t.equal(await next, reason);
  t.equal(await rejection(events.next()), reason);
  t.equal(await rejection(client.events(undefined, { signal: controller.signal }).next()), reason);
  t.equal(client.state, 'running');
  await client.close();
});

// Checked by the compiler: what follows is never run.
export async function typesHold(client: QmpClient): Promise<void> {
  const info = await client.execute('query-migrate');
  const remaining: number | undefined = info.ram?.remaining;
  // @ts-expect-error a member that does not exist
  const missing: unknown = info.ramm;
  // @ts-expect-error arguments are mandatory where QEMU demands one
  await client.execute('qom-get');
  // @ts-expect-error an argument of the wrong type
  await client.execute('migrate-set-parameters', { 'downtime-limit': 'long' });
  // @ts-expect-error not a command that can go out of band
  await client.executeOob('migrate');
  await client.execute('device_add', { driver: 'virtio-net', netdev: 'n0' });
  t.same([remaining, missing], []);
}
