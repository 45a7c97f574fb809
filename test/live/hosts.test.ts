// SPDX-License-Identifier: Apache-2.0
// Experiments on real machines: three network namespaces that are reached over ssh only, and stand for them.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { packageRoot } from '../../src/index.ts';
import { parseRunRecords } from '../../src/experiment/index.ts';
import { namespaceOf } from '../../testbed/index.ts';
import { type HostNamespaces, hostNamespaces, HOSTS } from './support/host-namespaces.ts';
import { sshdPath } from './support/sshd.ts';

const sshd = process.getuid?.() === 0 ? await sshdPath() : null;
const skip = sshd === null && 'needs root, and an sshd (apt-get install openssh-server)';

/** A keeper undoes what was not renewed for 30 s; the rest is for a machine on which two other tests run. */
const UNDONE_WITHIN_MS = 90_000;

const host = (name: string, address: string, nic = 'eth0'): string =>
  `{ ssh: ${name}, nic: ${nic}, address: ${address}, qemu: /usr/bin/qemu-system-x86_64 }`;

function experimentText(changes: Readonly<Record<string, string>> = {}): string {
  const fields = {
    schema: 'slackwater/experiment@1',
    name: 'elsewhere',
    title: 'One guest and two policies on machines reached over ssh',
    guests: '[{ name: calm, memory: 192MiB, workload: steady-small }]',
    links: '[lan-1g]',
    policies: '[qemu-default, adaptive]',
    repeats: '1',
    cap: '30s',
    settle: '1s',
    attempts: '1',
    control: '{ every: 0 }',
    ...changes,
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${value}`);
  return `${lines.join('\n')}
hosts:
  source: ${host('src', '10.77.0.1')}
  destination: ${host('dst', '10.77.0.2')}
  client: { ssh: client, address: 10.77.0.3 }
  guest: { address: 10.77.0.20/24 }
`;
}

interface Command {
  readonly child: ChildProcess;
  /** Both of its outputs. */
  readonly said: () => string;
  readonly ended: Promise<number | null>;
}

/** The real command, from where the client is: its ssh goes over the testbed's links. */
function startCommand(
  t: Test,
  { testbed, path }: HostNamespaces,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Command {
  const program = join(packageRoot(), 'dist', 'testbed', 'cli', 'main.js');
  const child = spawn(
    'ip',
    ['netns', 'exec', namespaceOf(testbed.name, 'client'), process.execPath, program, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env, PATH: path } },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => (said += piece));
  }
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, said: () => said, ended };
}

interface Run extends Command {
  readonly results: string;
  /** What it and the controller have in folders for temporary files and journals. */
  readonly leftovers: () => string[];
}

function startExperiment(t: Test, hosts: HostNamespaces, text: string): Run {
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-hosts-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'elsewhere.yaml');
  writeFileSync(file, text);
  const results = join(folder, 'results');
  const [temporary, runtime] = [join(folder, 'tmp'), join(folder, 'run')];
  for (const made of [temporary, runtime]) mkdirSync(made, { mode: 0o700 });
  const command = startCommand(t, hosts, ['experiment', 'run', file, '--results', results, '--verbose'], {
    TMPDIR: temporary,
    SLACKWATER_RUNTIME_DIR: runtime,
  });
  const leftovers = (): string[] =>
    [temporary, runtime].flatMap((made) => (existsSync(made) ? readdirSync(made) : []));
  return { ...command, results, leftovers };
}

async function becomes(what: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await what()) && performance.now() < deadlineMs) await delay(200);
  return await what();
}

async function leftoversOf(
  hosts: HostNamespaces,
  ...names: readonly (typeof HOSTS)[number][]
): Promise<string[]> {
  const found = await Promise.all(
    names.map(async (name) => (await hosts.leftovers(name)).map((what) => `${name}: ${what}`)),
  );
  return found.flat();
}

/** Starts a migration that takes half a minute, and returns when it is in its first round. */
async function inMidMigration(t: Test, hosts: HostNamespaces): Promise<Run> {
  const slow = { links: '[50mbit]', policies: '[qemu-default]', cap: '120s' };
  const run = startExperiment(t, hosts, experimentText(slow));
  const startMs = performance.now();
  // Beside two other tests, preparing alone has taken a minute: the limit is for what never comes.
  const inRound1 = (): boolean => /round 1/.test(run.said());
  t.ok((await becomes(() => inRound1() || run.child.exitCode !== null, 180_000)) && inRound1(), run.said());
  t.comment(`in its first round after ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  await delay(2000);
  t.not((await leftoversOf(hosts, 'src')).length, 0, 'the source has what a migration needs');
  return run;
}

t.test('an experiment on machines reached over ssh', { skip }, async (t) => {
  const hosts = await hostNamespaces(t, sshd ?? '');

  await t.test('is carried out, and leaves nothing there', async (t) => {
    const run = startExperiment(
      t,
      hosts,
      // Slow enough for the guest, which works with what CPU time other tests leave, to tell of its work meanwhile.
      experimentText({ policies: '[adaptive]', links: '[200mbit]' }),
    );
    t.equal(await run.ended, 0, run.said());
    const records = parseRunRecords(readFileSync(join(run.results, 'runs.jsonl'), 'utf8'));
    const reasons = records.map(({ outcome, reason }) => `${outcome}: ${reason}`);
    t.equal(records.length, 1, reasons.join('; '));
    for (const record of records) {
      t.match(record, { outcome: 'completed', coherent: true, lostPages: 0, lostBlocks: null });
      for (const key of ['tmtMs', 'downtimeQemuMs', 'downtimeGuestMs', 'floorBytes', 'floorMs'] as const) {
        t.ok((record[key] ?? 0) > 0, `${record.policy}: ${key} ${String(record[key])}`);
      }
      const { before, during } = record.workPerSec;
      t.ok((before ?? 0) > 0 && (during ?? 0) > 0, `the guest worked: ${before}, ${during}`);
      const uncertaintyMs = record.clientClockUncertaintyMs ?? Infinity;
      t.ok(uncertaintyMs > 0 && uncertaintyMs < 50, `clocks to ${uncertaintyMs} ms`);
      t.ok(existsSync(join(run.results, record.files.trace ?? 'none')));
      t.ok(
        record.files.logs.some((path) => path.endsWith('.console.log')),
        record.files.logs.join(', '),
      );
      // Beside it the link is what the testbed's switch carries, forty times as much.
      t.ok((record.floorBytes ?? 0) / ((record.floorMs ?? 1) / 1000) < 25e6, 'the hosts keep to the rate');
    }
    const machine = JSON.parse(readFileSync(join(run.results, 'machine.json'), 'utf8')) as object;
    t.match(machine, { sourceKernel: String, destinationCores: Number, clientMemoryBytes: Number });
    t.notMatch(JSON.stringify(machine), /10\.77|"src"/, 'no addresses, no names');
    t.same(await leftoversOf(hosts, ...HOSTS), []);
    t.same(run.leftovers(), [], 'nor here');
  });

  await t.test('is refused, with all reasons, where a host cannot be used', async (t) => {
    await hosts.testbed.runOn('src', ['tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'handle', '77:', 'pfifo']);
    const text = experimentText()
      .replace(host('dst', '10.77.0.2'), host('dst', '10.77.0.9', 'eth7'))
      .replace('ssh: client', 'ssh: nobody.invalid');
    const run = startExperiment(t, hosts, text);
    t.equal(await run.ended, 3, run.said());
    t.match(run.said(), /source src: .*77:/);
    t.match(run.said(), /destination dst: .*10\.77\.0\.9/);
    t.match(run.said(), /destination dst: .*eth7/);
    t.match(run.said(), /client: .*nobody\.invalid/);
    t.notOk(existsSync(run.results), 'before anything is made');
    const qdiscs = await hosts.inside('src', ['tc', 'qdisc', 'show', 'dev', 'eth0']);
    t.match(qdiscs, /77:/, 'what is there stays');
    await hosts.testbed.runOn('src', ['tc', 'qdisc', 'delete', 'dev', 'eth0', 'root']);
  });

  await t.test('has its hosts to itself, and leaves them at once when it is interrupted', async (t) => {
    const run = await inMidMigration(t, hosts);
    const other = startExperiment(t, hosts, experimentText());
    t.equal(await other.ended, 3, other.said());
    for (const name of ['src', 'dst', 'client']) t.match(other.said(), new RegExp(`${name}: .*in use by `));
    run.child.kill('SIGINT');
    t.equal(await run.ended, 130, run.said());
    t.same(await leftoversOf(hosts, ...HOSTS), []);
    t.ok(await becomes(() => run.leftovers().length === 0, 30_000), 'nor here, a little later');
    t.same(run.leftovers(), []);
  });

  await t.test(
    'leaves nothing when its runner is killed, and can be undone by hand with its keeper',
    async (t) => {
      const run = await inMidMigration(t, hosts);
      const killedMs = performance.now();
      run.child.kill('SIGKILL');
      await hosts.killKeeper('dst');
      // What dst has in the /dev that they share is told as the client's, and stays until dst is undone.
      const ofDst = (what: string): boolean => /^client: slackwater(?!-host$)/.test(what);
      const clean = async (): Promise<boolean> => (await leftoversOf(hosts, 'src', 'client')).every(ofDst);
      t.ok(await becomes(clean, UNDONE_WITHIN_MS), 'src and client are undone, each in its own time');
      t.comment(`gone after ${((performance.now() - killedMs) / 1000).toFixed(0)} s`);
      t.not(
        (await leftoversOf(hosts, 'dst')).length,
        0,
        'nobody has undone it where the keeper was killed, too',
      );
      const reap = startCommand(t, hosts, ['reap', '--host', 'dst']);
      t.equal(await reap.ended, 0, reap.said());
      t.match(reap.said(), /^removed: what .* left$/m);
      t.same(await leftoversOf(hosts, ...HOSTS), []);
      const again = startCommand(t, hosts, ['reap', '--host', 'dst']);
      t.equal(await again.ended, 0, again.said());
      t.match(again.said(), /^nothing to remove$/m);
      t.ok(await becomes(() => run.leftovers().length === 0, 30_000), 'nor here, a little later');
      t.same(run.leftovers(), []);
    },
  );

  await t.test('leaves nothing on a host that it cannot reach any more, and says so', async (t) => {
    const run = await inMidMigration(t, hosts);
    const cutMs = performance.now();
    const seconds = (): string => ((performance.now() - cutMs) / 1000).toFixed(0);
    await hosts.testbed.cutLink('src');
    const clean = async (): Promise<boolean> => (await leftoversOf(hosts, 'src')).length === 0;
    t.ok(await becomes(clean, UNDONE_WITHIN_MS));
    t.comment(`src clean after ${seconds()} s`);
    t.same(await leftoversOf(hosts, 'src'), []);
    t.equal(await run.ended, 4, run.said());
    t.comment(`given up after ${seconds()} s`);
    t.match(run.said(), /error: host src: /);
    t.same(await leftoversOf(hosts, ...HOSTS), []);
    await hosts.testbed.restoreLink('src');
    t.ok(await becomes(() => run.leftovers().length === 0, 60_000), 'nor here, once src can be asked again');
    t.same(run.leftovers(), []);
  });
});
