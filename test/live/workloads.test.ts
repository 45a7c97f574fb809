// SPDX-License-Identifier: Apache-2.0
// Guests with real applications: they come up, are migrated under load, and lose nothing. The first run on a machine
// downloads and unpacks their packages.
import t, { type Test } from 'tap';
import { type AppFigures } from '../../src/experiment/index.ts';
import type { GuestSpec } from '../../testbed/guest/index.ts';
import { ENDPOINTS, namespaceOf } from '../../testbed/index.ts';
import { type KvloadSettings, type RunningKvload, startKvload } from '../../testbed/measure/index.ts';
import { openLaboratory } from '../../testbed/stage/laboratory.ts';
import { Stage } from '../../testbed/stage/stage.ts';
import { readWorkload, resolveWorkload } from '../../testbed/workload/index.ts';
import { checkCoherence, migrate } from './support/live.ts';

type StageGuest = Omit<GuestSpec, 'ip' | 'clientIp'>;

/** A guest of 512 MiB with a workload, not booted yet; gone with the test. */
async function stageFor(
  test: Test,
  name: string,
  change: (guest: StageGuest) => StageGuest = (guest) => guest,
): Promise<{ stage: Stage; load: KvloadSettings | undefined }> {
  const laboratory = await openLaboratory((line) => test.comment(line));
  const { guest, load } = resolveWorkload(readWorkload(name), 512);
  const spec = { memoryMib: 512, vcpus: 1, seed: 7, work: false, diskBlocksPerSec: 20, ...guest };
  const stage = await Stage.create({ laboratory, guest: change(spec) });
  test.teardown(() => stage.testbed.down());
  return { stage, load };
}

/** The workload's requests, on fewer records: loading takes 150 ms per thousand. */
async function startLoad(stage: Stage, load: KvloadSettings | undefined): Promise<RunningKvload> {
  return startKvload({
    ...load!,
    records: 5000,
    kvloadPath: stage.laboratory.tools.kvloadPath,
    netns: namespaceOf(stage.testbed.name, 'client'),
    serverIp: ENDPOINTS.guest.ip,
  });
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

t.test('redis is migrated under load: every answer is right, before, during and after', async (t) => {
  const { stage, load } = await stageFor(t, 'redis-a');
  await stage.boot();
  const destination = await stage.addDestination();
  const kvload = await startLoad(stage, load);
  const times = [monotonicMs()];
  await stage.settle(1000);
  times.push(monotonicMs());
  const { exitCode, document, stderr } = await migrate(stage);
  times.push(monotonicMs());
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  await stage.settle(1500);
  times.push(monotonicMs());
  const rows = await kvload.stop();
  const figures = times.slice(1).map((toMs, i): AppFigures | null => kvload.figures(times[i]!, toMs));
  t.comment(JSON.stringify(figures));
  t.ok(
    figures.every((each) => each !== null && each.requestsPerSec > 0),
    'requests are answered before, during and after',
  );
  t.equal(
    rows.reduce((sum, { errors }) => sum + errors, 0),
    0,
    'no answer is wrong and no connection was lost',
  );
  t.equal((await stage.withGuest(destination, (guest) => guest.checkApp())).name, 'redis');
  await checkCoherence(t, stage, destination);
});

t.test('memcached answers its client', async (t) => {
  const { stage, load } = await stageFor(t, 'memcached-b');
  await stage.boot();
  const kvload = await startLoad(stage, load);
  await stage.settle(1000);
  const rows = await kvload.stop();
  t.ok(rows.some(({ count }) => count > 0));
  t.equal(
    rows.reduce((sum, { errors }) => sum + errors, 0),
    0,
  );
  await checkCoherence(t, stage, stage.source);
});

// Two at a time: there are two CPUs. The images of the others take minutes to download and build on a new machine.
const ALL_APPS = [
  ['sysbench-memory', 'fio-ext4'],
  ['stress-ng-vm', 'build-mix'],
];
for (const names of process.env['SLACKWATER_APPS'] === 'all' ? ALL_APPS : [['build-mix']]) {
  t.test(`beside the checked memory: ${names.join(', ')}`, async (t) => {
    const stages = await Promise.all(names.map(async (name) => (await stageFor(t, name)).stage));
    await Promise.all(stages.map((stage) => stage.boot()));
    for (const stage of stages) {
      const app = await stage.withGuest(stage.source, (guest) => guest.checkApp());
      t.equal(app.state, 'running', app.output);
      await checkCoherence(t, stage, stage.source);
    }
  });
}

t.test('an application that dies is reported with what it said', async (t) => {
  const { stage } = await stageFor(t, 'build-mix', (guest) => ({
    ...guest,
    app: { name: 'build-mix', settings: { set_mib: 'all', jobs: 1 } },
  }));
  await t.rejects(stage.boot(), {
    code: 'ERR_TESTBED_GUEST_CONTROL',
    message: /wanted build-mix running in the guest, got its end with exit code 1; its output ends: .*mount/s,
  });
});
