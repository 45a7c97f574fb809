// SPDX-License-Identifier: Apache-2.0
// The script that undoes things on a host, in a folder of the test's own: files and processes stand for what is made there.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type LongLived, run, type RunResult, startLongLived } from '../../../testbed/index.ts';
import { changeArguments } from '../../../testbed/remote/undo-step.ts';

const SCRIPT = join(import.meta.dirname, '../../../testbed/remote/keeper.sh');
const IN_USE = 74;
const GONE = 75;
/** Longer than any test. */
const PATIENT_S = 60;

interface TestHost {
  readonly folder: string;
  readonly files: string;
  keeper(...args: string[]): Promise<RunResult>;
  start(...args: string[]): Promise<LongLived>;
}

function testHost(t: Test): TestHost {
  const files = mkdtempSync(join(tmpdir(), 'slackwater-keeper-test-'));
  const folder = join(files, 'host');
  const keeper = (...args: string[]) => run(['sh', SCRIPT, folder, ...args], { allowFailure: true });
  t.teardown(async () => {
    await keeper('reap', 'all');
    rmSync(files, { recursive: true });
  });
  return {
    folder,
    files,
    keeper,
    start: (...args) =>
      startLongLived(['sh', SCRIPT, folder, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
  };
}

async function becomes(what: () => boolean): Promise<boolean> {
  for (let i = 0; i < 100 && !what(); i++) await delay(100);
  return what();
}

/** The keeper itself, found by its arguments. */
function keeperPid(folder: string): number | undefined {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${folder}\0keep\0`);
    } catch {
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

async function makeFile(host: TestHost, owner: string, name: string): Promise<string> {
  const path = join(host.files, name);
  const made = await host.keeper('change', owner, ...changeArguments(['remove_file', path], ['touch', path]));
  t.equal(made.exitCode, 0, made.stderr);
  t.ok(existsSync(path));
  return path;
}

t.test('what was made is undone when the claim is given up, whatever it is called', async (t) => {
  const host = testHost(t);
  t.equal((await host.keeper('claim', 'me', String(PATIENT_S))).exitCode, 0);
  const names = ['plain', 'a b\'$(touch x)`id`"*\\', '-rf'];
  for (const name of names) await makeFile(host, 'me', name);
  const process = await host.start('become', 'me', 'sleeper', '-', 'sleep', '60');
  t.ok(await becomes(() => existsSync(join(host.folder, 'pids', 'sleeper'))));
  t.equal((await host.keeper('stop', 'me')).exitCode, 0);
  await process.exited;
  t.same(readdirSync(host.files), [], 'nothing is left, nor the folder');
  t.ok(await becomes(() => keeperPid(host.folder) === undefined), 'nor its keeper');
});

t.test('a host in use is refused, and says by whom', async (t) => {
  const host = testHost(t);
  await host.keeper('claim', 'alice', String(PATIENT_S));
  const path = await makeFile(host, 'alice', 'hers');
  const { exitCode, stderr } = await host.keeper('claim', 'bob', String(PATIENT_S));
  t.equal(exitCode, IN_USE);
  t.match(stderr, /in use by alice/);
  const step = changeArguments(['remove_file', path], ['true']);
  t.equal(
    (await host.keeper('change', 'bob', ...step)).exitCode,
    GONE,
    'and only its owner changes anything',
  );
  t.equal((await host.keeper('reap')).exitCode, IN_USE, 'reaping leaves it alone');
  await host.keeper('stop', 'bob');
  t.ok(existsSync(path), 'others cannot stop it');
  const reaped = await host.keeper('reap', 'all');
  t.match(reaped.stdout, /what alice left/);
  t.notOk(existsSync(path), 'unless they say so');
});

t.test('a claim that nobody renews is undone, and nothing can be made afterwards', async (t) => {
  const host = testHost(t);
  await host.keeper('claim', 'me', '3');
  const path = await makeFile(host, 'me', 'made');
  for (let i = 0; i < 4; i++) {
    await delay(1000);
    t.equal((await host.keeper('beat', 'me', String(i + 1))).exitCode, 0);
  }
  t.ok(existsSync(path), 'renewed, it stays');
  t.ok(await becomes(() => !existsSync(host.folder)));
  t.notOk(existsSync(path));
  t.equal((await host.keeper('beat', 'me', '9')).exitCode, GONE);
  const step = changeArguments(['remove_file', path], ['touch', path]);
  t.equal((await host.keeper('change', 'me', ...step)).exitCode, GONE);
  t.equal((await host.keeper('become', 'me', 'x', '-', 'touch', path)).exitCode, GONE);
  t.notOk(existsSync(path));
});

t.test('what a killed keeper left is undone by the next claim, or by hand', async (t) => {
  const host = testHost(t);
  const kill = async (): Promise<void> => {
    const pid = keeperPid(host.folder);
    t.not(pid, undefined);
    process.kill(pid!, 'SIGKILL');
    t.ok(await becomes(() => keeperPid(host.folder) === undefined));
  };
  await host.keeper('claim', 'first', String(PATIENT_S));
  const first = await makeFile(host, 'first', 'first');
  await kill();
  t.ok(await becomes(() => existsSync(first)), 'killed, it undoes nothing');
  t.equal((await host.keeper('beat', 'first', '1')).exitCode, GONE, 'and its owner is told');
  const next = await host.keeper('claim', 'second', String(PATIENT_S));
  t.equal(next.exitCode, 0, next.stderr);
  t.notOk(existsSync(first));
  const second = await makeFile(host, 'second', 'second');
  await kill();
  t.match((await host.keeper('reap')).stdout, /what second left/);
  t.notOk(existsSync(second));
  t.equal((await host.keeper('reap')).stdout, '', 'then there is nothing any more');
});

t.test('a process that got a dead one’s pid is left alone', async (t) => {
  const host = testHost(t);
  await host.keeper('claim', 'me', String(PATIENT_S));
  const stranger = await startLongLived(['sleep', '60']);
  t.teardown(() => stranger.kill());
  writeFileSync(join(host.folder, 'undo', '000000'), `end_process\n${stranger.pid}\n12345\n`);
  t.equal((await host.keeper('stop', 'me')).exitCode, 0);
  t.equal(stranger.child.exitCode, null);
  t.equal(stranger.child.signalCode, null);
});
