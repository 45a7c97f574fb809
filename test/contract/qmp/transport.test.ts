// SPDX-License-Identifier: Apache-2.0
// Real sockets and a stand-in for ssh: each failure has its own reason and remedy, and nothing is left behind.

import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { UsageError } from '../../../src/common/index.ts';
import { QmpConnectError, QmpDisconnectedError, connectQmp } from '../../../src/qmp/index.ts';
import { rejection, serve } from '../support/qmp-helpers.ts';

const folder = await mkdtemp(join(tmpdir(), 'qmp-transport-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));

/** Sockets and timers of this process that keep it alive. */
function held(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /Socket|Pipe(Wrap|Connect)|TCP|Timeout|Process/.test(name));
}

/** Runs `work` and checks that it leaves no socket, timer or child. */
async function leavesNothing(t: Test, work: () => Promise<void>): Promise<void> {
  const before = held().length;
  await work();
  for (let i = 0; i < 50 && held().length > before; i += 1) await turn();
  t.equal(held().length, before, 'nothing is left open');
}

t.test('a socket that is not there, one that nobody listens on, and a text that is no address', async (t) => {
  const dead = join(folder, 'dead');
  // A child that is killed leaves its socket file behind, as a killed QEMU does.
  const script = `require('net').createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', script]);
  await leavesNothing(t, async () => {
    const missing = (await rejection(connectQmp(join(folder, 'missing')))) as QmpConnectError;
    t.type(missing, QmpConnectError);
    t.match(missing, { reason: 'missing', address: `unix:${folder}/missing`, code: 'ERR_QMP_CONNECT' });
    t.match(missing.remedy, /-qmp unix:/);
    const refused = (await rejection(connectQmp(`unix:${dead}`))) as QmpConnectError;
    t.match(refused, { reason: 'refused' });
    t.match(refused.remedy, /exited/);
    t.type(await rejection(connectQmp('qmp.sock')), UsageError);
  });
});

t.test('a socket without permission', async (t) => {
  const server = await serve(t);
  if (server.address.kind !== 'unix') throw new Error('expected a UNIX socket');
  await chmod(server.address.path, 0o000);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    await chmod(dirname(server.address.path), 0o755);
    process.seteuid?.(65534);
  }
  const connecting = rejection(connectQmp(server.address));
  if (isRoot) process.seteuid?.(0);
  const error = (await connecting) as QmpConnectError;
  t.match(error, { reason: 'permission' });
  t.match(error.remedy, /run as the user/);
});

t.test('TCP on loopback, and a port that nobody listens on', async (t) => {
  const server = await serve(t, { tcp: true, handlers: { 'query-name': () => ({ name: 'n' }) } });
  await leavesNothing(t, async () => {
    const client = await connectQmp(server.address);
    t.same(await client.execute('query-name'), { name: 'n' });
    await client.close();
  });
  const unused = createServer();
  await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
  const address = unused.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await new Promise((resolve) => unused.close(resolve));
  t.match(await rejection(connectQmp(`tcp:127.0.0.1:${port}`)), { reason: 'refused' });
});

// Does what the real one does with these arguments, without a network: no more than ten log in at a time, as sshd would have it.
// Notes its arguments and its pid.
const FAKE_SSH = `#!${process.execPath}
const net = require('node:net'), fs = require('node:fs');
const args = process.argv.slice(2), host = args.at(-1);
const [local, remote] = args[args.indexOf('-L') + 1].split(':');
fs.writeFileSync(process.env.FAKE_SSH_LOG, JSON.stringify({ args, pid: process.pid, local }));
if (host === 'denied') { process.stderr.write('nobody@denied: Permission denied (publickey).\\n'); process.exit(255); }
const mine = process.env.FAKE_SSH_LOGINS + '/' + process.pid;
fs.writeFileSync(mine, '');
if (fs.readdirSync(process.env.FAKE_SSH_LOGINS).length > 10) {
  process.stderr.write('kex_exchange_identification: read: Connection reset by peer\\n');
  fs.rmSync(mine);
  process.exit(255);
}
process.on('SIGTERM', () => { if (host !== 'stubborn') process.exit(0); });
const server = net.createServer((a) => {
  const b = net.connect(remote);
  const end = () => { a.destroy(); b.destroy(); };
  b.on('error', (error) => {
    process.stderr.write('channel 2: open failed: connect failed: ' + error.code + '\\n');
    end();
  });
  a.on('error', end).on('close', end); b.on('close', end);
  a.pipe(b).pipe(a);
});
if (host === 'silent') setInterval(() => {}, 1000);
else setTimeout(() => server.listen(local, () => fs.rmSync(mine)), host === 'distant' ? 1000 : 100);
`;

interface SshCall {
  readonly args: readonly string[];
  readonly pid: number;
  readonly local: string;
}

const sshProgram = join(folder, 'fake-ssh');
const log = join(folder, 'ssh.json');
await writeFile(sshProgram, FAKE_SSH, { mode: 0o755 });
process.env['FAKE_SSH_LOG'] = log;
process.env['FAKE_SSH_LOGINS'] = await mkdtemp(join(folder, 'logins-'));

async function sshCall(): Promise<SshCall> {
  return JSON.parse(await readFile(log, 'utf8')) as SshCall;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function assertGone(t: Test, call: SshCall): Promise<void> {
  t.notOk(isAlive(call.pid), 'ssh is gone');
  t.equal(
    await rejection(stat(dirname(call.local))).then((error) => (error as NodeJS.ErrnoException).code),
    'ENOENT',
  );
}

t.test('ssh: forwards a socket of a private folder, and takes both away on close', async (t) => {
  const server = await serve(t, { handlers: { 'query-name': () => ({ name: 'far' }) } });
  if (server.address.kind !== 'unix') throw new Error('expected a UNIX socket');
  const { path } = server.address;
  for (const host of ['vm1', 'stubborn']) {
    await leavesNothing(t, async () => {
      const client = await connectQmp({ kind: 'ssh', host, path }, { sshProgram });
      const call = await sshCall();
      const options = [
        '-o',
        'BatchMode=yes',
        '-o',
        'ExitOnForwardFailure=yes',
        '-o',
        'StreamLocalBindUnlink=yes',
        '-o',
        'ServerAliveInterval=5',
        '-o',
        'ServerAliveCountMax=3',
      ];
      t.same(call.args, [...options, '-N', '-L', `${call.local}:${path}`, host]);
      t.equal((await stat(dirname(call.local))).mode & 0o777, 0o700);
      t.same(await client.execute('query-name'), { name: 'far' });
      await client.close();
      await assertGone(t, call);
    });
  }
  t.equal(server.connectionCount, 2, 'no probe takes the one place that a monitor has');
});

t.test('ssh: many monitors of a host at once, of which sshd refuses none', async (t) => {
  const servers = await Promise.all(Array.from({ length: 14 }, () => serve(t)));
  const paths = servers.map(({ address }) => (address.kind === 'unix' ? address.path : ''));
  const open = (path: string) => connectQmp({ kind: 'ssh', host: 'distant', path }, { sshProgram });
  const clients = await Promise.all(paths.map(open));
  t.equal(clients.length, 14);
  await Promise.all(clients.map((client) => client.close()));
});

t.test('ssh: what it says is in the error', async (t) => {
  await leavesNothing(t, async () => {
    const denied = await rejection(connectQmp('ssh:denied:/run/a', { sshProgram }));
    t.match(denied, { reason: 'ssh', code: 'ERR_QMP_CONNECT' });
    t.match((denied as Error).message, /Permission denied \(publickey\)/);
    await assertGone(t, await sshCall());

    const missing = await rejection(connectQmp(`ssh:vm1:${folder}/missing`, { sshProgram }));
    t.match(missing, { reason: 'refused' });
    t.match((missing as Error).message, /open failed: connect failed: ENOENT/);
    await assertGone(t, await sshCall());

    const absent = await rejection(connectQmp('ssh:vm1:/run/a', { sshProgram: join(folder, 'no-ssh') }));
    t.match(absent, { reason: 'ssh' });
    t.match((absent as Error).message, /cannot run .*no-ssh/);
  });
});

t.test('ssh: a deadline and an abort while it connects', async (t) => {
  await leavesNothing(t, async () => {
    const late = await rejection(connectQmp('ssh:silent:/run/a', { sshProgram, connectTimeoutMs: 500 }));
    t.match(late, { reason: 'timeout' });
    await assertGone(t, await sshCall());

    const reason = new Error('enough');
    const controller = new AbortController();
    await rm(log);
    const connecting = rejection(connectQmp('ssh:silent:/run/a', { sshProgram, signal: controller.signal }));
    while ((await rejection(stat(log))) !== undefined) await turn();
    controller.abort(reason);
    t.equal(await connecting, reason);
    await turn();
  });
});

t.test('ssh: dies in the middle of a session', async (t) => {
  const server = await serve(t, { handlers: { stop: () => new Promise(() => undefined) } });
  if (server.address.kind !== 'unix') throw new Error('expected a UNIX socket');
  const client = await connectQmp({ kind: 'ssh', host: 'vm1', path: server.address.path }, { sshProgram });
  const call = await sshCall();
  const arrived = server.next('stop');
  const stopping = rejection(client.execute('stop'));
  await arrived;
  process.kill(call.pid, 'SIGKILL');
  t.type(await stopping, QmpDisconnectedError);
  await client.closed;
  await assertGone(t, call);
});
