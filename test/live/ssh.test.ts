// SPDX-License-Identifier: Apache-2.0
// A migration and a gang over hosts that are reached by ssh, through a real sshd with keys of its own.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ENDPOINTS, namespaceOf, run } from '../../testbed/index.ts';
import { slackwaterProgram, startController } from '../../testbed/stage/controller.ts';
import { GangStage } from '../../testbed/stage/gang-stage.ts';
import { openLaboratory } from '../../testbed/stage/laboratory.ts';
import { checkCoherence, HOT, readSettings, settingsBecome, SMALL, stageWith } from './support/live.ts';
import { sshdPath, sshOnPath, startSshd } from './support/sshd.ts';

const program = await sshdPath();
const skip = program === null ? 'no sshd on this machine, and none to be had from Debian' : false;

t.test('both monitors over ssh', { skip }, async (t) => {
  const sshd = await startSshd(t, { program: program! });
  const path = sshOnPath(t, { '*': sshd.clientConfig });
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const args = [
    'migrate',
    ...['--qmp', `ssh:hosta:${stage.source.qmpPath}`, '--dest-qmp', `ssh:hostb:${stage.destination.qmpPath}`],
    ...['--to', stage.uri, '--json'],
  ];
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-test-ssh-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const environment = { PATH: path, TMPDIR: folder };
  const { exitCode, document, stderr } = await startController(args, undefined, environment).ended;
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  // Two hosts, two clocks: the bound of the round trips is stated.
  t.ok((document?.downtime_stop_to_resume_uncertainty_ms ?? 0) > 0);
  t.same(await settingsBecome(stage.source, before), before);
  t.same(readdirSync(folder), [], 'no forwarded socket is left');
  await checkCoherence(t, stage, stage.destination);
});

// The controller stands where the client is: its ssh goes over the very links that it shapes.
t.test('a gang between two hosts that are reached over ssh alone', { skip }, async (t) => {
  const stage = await GangStage.create({
    laboratory: await openLaboratory((line) => t.comment(line)),
    link: '400mbit',
    guests: ['a', 'b'].map((name, i) => ({
      name,
      spec: { memoryMib: 128, vcpus: 1, pattern: SMALL, seed: 31 + i, work: false, diskBlocksPerSec: 0 },
      plan: { priority: i === 0 ? 'low' : 'high' },
    })),
  });
  t.teardown(() => stage.down());
  await stage.boot();
  const hosts = ['src', 'dst'] as const;
  const daemons = await Promise.all(
    hosts.map((host) => {
      const prefix = ['ip', 'netns', 'exec', namespaceOf(stage.testbed.name, host)] as const;
      return startSshd(t, { program: program!, listenAddress: ENDPOINTS[host].ip, port: 22, prefix });
    }),
  );
  const [src, dst] = daemons.map(({ clientConfig }) => clientConfig);
  const path = sshOnPath(t, { src: src!, dst: dst! });

  const folder = mkdtempSync(join(tmpdir(), 'slackwater-test-ssh-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, 'plan.yaml');
  const local = JSON.parse(stage.planText({ workloads: { lower: '50mbit', upper: '100mbit' } })) as LocalPlan;
  const away = (host: 'src' | 'dst', { nic, link, address }: LocalHost) => ({
    nic,
    link,
    address,
    ssh: host,
  });
  writeFileSync(
    file,
    JSON.stringify({
      ...local,
      source: away('src', local.source),
      destination: away('dst', local.destination),
      vms: local.vms.map((vm) => ({
        ...vm,
        source: `ssh:src:${vm.source}`,
        destination: `ssh:dst:${vm.destination}`,
      })),
    }),
  );
  const before = await Promise.all(hosts.map((host) => stage.networkOf(host)));
  const settings = await Promise.all(stage.staged.map(({ source }) => readSettings(source)));
  const environment = [`PATH=${path}`, `SLACKWATER_RUNTIME_DIR=${join(folder, 'run')}`];
  const { stdout, stderr } = await run(
    [
      'ip',
      ...['netns', 'exec', namespaceOf(stage.testbed.name, 'client'), 'env', ...environment],
      ...[process.execPath, slackwaterProgram(), 'gang', file, '--json'],
    ],
    { timeoutMs: 120_000 },
  );
  const { vms, not_restored } = JSON.parse(stdout) as {
    readonly vms: readonly { readonly start_ms: number; readonly migration: { readonly outcome: string } }[];
    readonly not_restored: readonly string[];
  };
  t.same(
    vms.map(({ migration: { outcome } }) => outcome),
    ['completed', 'completed'],
    stderr,
  );
  t.ok(vms[1]!.start_ms < vms[0]!.start_ms, 'the high priority first');
  t.notMatch(stderr, /not shaped/, 'both NICs are shaped');
  t.same(not_restored, []);
  t.same(await Promise.all(hosts.map((host) => stage.networkOf(host))), before);
  t.same(await Promise.all(stage.staged.map(({ source }) => readSettings(source))), settings);
  for (const each of stage.staged) {
    const { badPageCount, hotPages } = await stage.verify(each, 'destination');
    t.same({ badPageCount }, { badPageCount: 0 }, each.guest.name);
    t.ok(hotPages > 0);
  }
});

interface LocalHost {
  readonly nic: string;
  readonly link: string;
  readonly address: string;
}

interface LocalPlan {
  readonly source: LocalHost;
  readonly destination: LocalHost;
  readonly vms: readonly { readonly source: string; readonly destination: string }[];
}
