// SPDX-License-Identifier: Apache-2.0
// The client against a real QEMU without a machine. Skipped, with the reason, where there is none.

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import {
  MAX_IN_BAND_IN_FLIGHT,
  QmpConnectError,
  QmpDisconnectedError,
  QmpGreetingTimeoutError,
  connectQmp,
  isQmpObject,
} from '../../../src/qmp/index.ts';
import type { QmpClient } from '../../../src/qmp/index.ts';
import { rejection } from '../support/qmp-helpers.ts';

const QEMU = 'qemu-system-x86_64';
const skip = spawnSync(QEMU, ['--version']).status === 0 ? false : `${QEMU} is not installed`;

interface LiveQemu {
  readonly child: ChildProcess;
  /** Two monitors of one process. */
  readonly monitors: readonly [string, string];
  readonly folder: string;
}

async function startQemu(t: Test): Promise<LiveQemu> {
  const folder = await mkdtemp(join(tmpdir(), 'qmp-live-'));
  const monitors = [join(folder, 'a'), join(folder, 'b')] as const;
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', '-S'];
  const qmp = monitors.flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]);
  const child = spawn(QEMU, [...machine, ...qmp], { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  return { child, monitors, folder };
}

/** Connects as soon as QEMU has made its socket. */
async function connectWhenThere(path: string): Promise<QmpClient> {
  for (;;) {
    try {
      return await connectQmp(path);
    } catch (error) {
      if (!(error instanceof QmpConnectError) || !['missing', 'refused'].includes(error.reason)) throw error;
      await delay(20);
    }
  }
}

t.test('commands, the schema and an error of a real QEMU', { skip }, async (t) => {
  const { monitors } = await startQemu(t);
  const client = await connectWhenThere(monitors[0]);
  t.ok(client.oob);
  const version = await client.execute('query-version');
  t.same(version.qemu, client.greeting.version.qemu);
  const before = client.stats.bytesReceived;
  const schema = await client.readSchema();
  t.ok(client.stats.bytesReceived - before > 200_000, 'the reply to query-qmp-schema has more than 200 KB');
  t.ok(schema.hasCommand('migrate'));
  t.notOk(schema.hasCommand('no-such-command'));
  t.ok(schema.hasEvent('MIGRATION_PASS'));
  t.ok(schema.allowsOob('migrate-pause'));
  t.ok(schema.commandHasArgument('migrate-set-parameters', 'downtime-limit'));
  t.ok(schema.commandArgumentEnumHas('migrate-set-capabilities', 'capabilities.capability', 'postcopy-ram'));
  t.ok(schema.returnsMember('query-migrate', 'ram.dirty-pages-rate'));
  t.ok(schema.returnsEnumHas('query-migrate', 'status', 'postcopy-active'));
  t.match(await rejection(client.executeRaw('no-such-command')), { errorClass: 'CommandNotFound' });
  await client.execute('migrate-set-parameters', { 'max-bandwidth': 0, 'downtime-limit': 300 });
  // A value that a double cannot hold goes to QEMU and comes back with all its digits.
  const all = 18446744073709551615n;
  await client.executeRaw('migrate-set-parameters', { 'max-bandwidth': all });
  const parameters = await client.executeRaw('query-migrate-parameters');
  t.ok(isQmpObject(parameters) && parameters['max-bandwidth'] === all);
  await client.close();
});

t.test('a monitor with a client already, and one whose queue of clients is full', { skip }, async (t) => {
  const { monitors } = await startQemu(t);
  const first = await connectWhenThere(monitors[0]);
  const options = { greetingTimeoutMs: 500 };
  const others = Array.from({ length: 4 }, () => rejection(connectQmp(monitors[0], options)));
  const errors = await Promise.all(others);
  t.ok(errors.some((error) => error instanceof QmpGreetingTimeoutError));
  t.ok(errors.some((error) => error instanceof QmpConnectError && error.reason === 'busy'));
  t.equal(first.state, 'running');
  await first.close();
});

t.test('out of band passes a QEMU whose main loop is stuck', { skip }, async (t) => {
  const { monitors, folder } = await startQemu(t);
  const fifo = join(folder, 'fifo');
  spawnSync('mkfifo', [fifo]);
  const [blocker, client] = [await connectWhenThere(monitors[0]), await connectWhenThere(monitors[1])];
  // QEMU opens the file in its main loop, and for a FIFO without reader that takes until there is one.
  const blocked = blocker.executeRaw('pmemsave', { val: 0, size: 1, filename: fifo });
  const inBand = Array.from({ length: 20 }, () => client.execute('query-name'));
  for (let i = 0; i < 20; i += 1) {
    const yanks = await client.executeOob('query-yank', {}, { timeoutMs: 10_000 });
    t.ok(yanks.length >= 2);
  }
  t.equal(client.stats.inFlight, MAX_IN_BAND_IN_FLIGHT, 'the main loop is stuck, and as much waits as may');
  const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  await blocked;
  t.equal((await Promise.all(inBand)).length, 20);
  await reader.close();
  await Promise.all([blocker.close(), client.close()]);
});

t.test('QEMU is killed in the middle of a command', { skip }, async (t) => {
  const { child, monitors, folder } = await startQemu(t);
  const fifo = join(folder, 'fifo');
  spawnSync('mkfifo', [fifo]);
  const client = await connectWhenThere(monitors[0]);
  const events = client.events();
  const stuck = rejection(client.executeRaw('pmemsave', { val: 0, size: 1, filename: fifo }));
  await client.executeOob('query-yank');
  child.kill('SIGKILL');
  const error = await stuck;
  t.type(error, QmpDisconnectedError);
  t.equal((error as QmpDisconnectedError).command, 'pmemsave');
  t.type(await rejection(events.next()), QmpDisconnectedError);
  t.equal((await client.closed).error?.cause, (error as QmpDisconnectedError).cause);
});

t.test('quit is answered, and its event comes with a timestamp of QEMU', { skip }, async (t) => {
  const { monitors } = await startQemu(t);
  const client = await connectWhenThere(monitors[0]);
  const events = client.events(['SHUTDOWN']);
  const startedUs = Date.now() * 1000;
  await client.execute('quit');
  const { value: shutdown } = await events.next();
  t.equal(shutdown?.data.reason, 'host-qmp-quit');
  t.ok(Math.abs((shutdown?.timestampUs ?? 0) - startedUs) < 60_000_000, 'in microseconds since 1970');
  t.type((await client.closed).error, QmpDisconnectedError);
});
