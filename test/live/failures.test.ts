// SPDX-License-Identifier: Apache-2.0
// What can break, broken on purpose: in each case the guest is where the outcome says, and can be got back.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectQmp } from '../../src/qmp/index.ts';
import { runController } from '../../testbed/stage/controller.ts';
import type { Stage } from '../../testbed/stage/stage.ts';
import {
  checkCoherence,
  HOT,
  MIB,
  migrate,
  migrationStatus,
  readSettings,
  settingsBecome,
  stageWith,
  startMigrate,
} from './support/live.ts';

async function until(stage: Stage, status: string): Promise<void> {
  while ((await migrationStatus(stage.source)) !== status) await delay(10);
}

t.test('pre-copy: the guest stays on the source, with every parameter as before', async (t) => {
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);

  await stage.addDestination();
  const killed = startMigrate(stage, '--no-postcopy', '--deadline', '60s');
  await until(stage, 'active');
  await delay(800);
  stage.destination.kill('SIGKILL');
  const afterKill = await killed.ended;
  t.equal(afterKill.exitCode, 4, afterKill.stderr);
  t.equal(afterKill.document?.outcome, 'source-running');
  t.same(await readSettings(stage.source), before);
  await checkCoherence(t, stage, stage.source);

  // Expects a device's state without one of its fields; no QMP command of the preflight shows that.
  await stage.addDestination({ global: 'PIIX4_PM.x-not-migrate-acpi-index=on' });
  const notLoaded = await migrate(stage, '--no-postcopy', '--allow-downtime', '3s');
  t.equal(notLoaded.exitCode, 4, notLoaded.stderr);
  t.match(notLoaded.document?.reason, /destination: .*load of migration failed/);
  t.same(await readSettings(stage.source), before);
  await checkCoherence(t, stage, stage.source);

  // What QMP does show is refused beforehand.
  await stage.addDestination({ memoryMib: 320 });
  const otherMemory = await migrate(stage);
  t.equal(otherMemory.exitCode, 3, otherMemory.stderr);
  await stage.addDestination({ machine: 'pc,hpet=off' });
  const noTimer = await migrate(stage);
  t.equal(noTimer.exitCode, 3);
  t.match(noTimer.stderr, /the destination lacks hpet/);
  await stage.addDestination({ withDisk: false });
  const noDisk = await migrate(stage);
  t.equal(noDisk.exitCode, 3);
  t.match(noDisk.stderr, /the destination lacks PCI/);
  // The same devices, one of which cannot do what the guest's driver uses: in post-copy that would lose the guest.
  await stage.addDestination({ global: 'virtio-net-pci.mrg_rxbuf=off' });
  const noFeature = await migrate(stage);
  t.equal(noFeature.exitCode, 3);
  t.match(noFeature.stderr, /mrg_rxbuf is true on the source, false on the destination/);
  t.same(await readSettings(stage.source), before);

  // Interrupted by its user.
  await stage.addDestination();
  const interrupted = startMigrate(stage, '--no-postcopy', '--deadline', '60s');
  await until(stage, 'active');
  await delay(500);
  interrupted.child.kill('SIGINT');
  const afterInterrupt = await interrupted.ended;
  t.equal(afterInterrupt.exitCode, 130, afterInterrupt.stderr);
  t.same(await readSettings(stage.source), before);
  await checkCoherence(t, stage, stage.source);
});

t.test('a link cut in post-copy pauses it; the printed command recovers the guest', async (t) => {
  // Slow, so that post-copy lasts long enough to be cut.
  const stage = await stageWith(t, HOT, { link: '300mbit' });
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const running = startMigrate(stage);
  await until(stage, 'postcopy-active');
  // The guest runs on the destination by now, and lacks most of its 64 MiB.
  await delay(400);
  await stage.testbed.cutLink('dst');
  const cutAtMs = performance.now();
  const result = await running.ended;
  const tookMs = performance.now() - cutAtMs;
  t.equal(result.exitCode, 5, result.stderr);
  t.ok(tookMs < 15_000, `${tookMs.toFixed(0)} ms: the stall of 5 s, and at most 10 s more`);
  t.equal(result.document?.outcome, 'postcopy-paused');
  const command = result.document?.command ?? '';
  t.match(command, /^slackwater recover /);

  await stage.testbed.restoreLink('dst');
  const recovered = await runController(command.split(' ').slice(1));
  t.equal(recovered.exitCode, 0, recovered.stderr);
  await checkCoherence(t, stage, stage.destination);
  // The guardian takes the capabilities back now that the migration is over.
  t.same(await settingsBecome(stage.source, before), before);
});

t.test('a link cut between the switch and the resume holds the guest up, and loses nothing', async (t) => {
  // Without draining, and so slow from the end of the first pass on that the state of the devices waits behind the full
  // queue for a second, however late this machine comes to cut the link.
  const stage = await stageWith(t, HOT, { link: '300mbit' });
  await stage.addDestination();
  const running = startMigrate(stage, '--postcopy-stall', '1s', '--policy', 'hybrid-1');
  {
    await using client = await connectQmp(stage.source.monitorPath);
    const nearlyDone = async (): Promise<boolean> => {
      const { ram } = await client.execute('query-migrate');
      return ram !== undefined && ram.remaining < 12 * MIB;
    };
    while (!(await nearlyDone())) await delay(10);
    await stage.testbed.setRate(5e6);
    while ((await client.execute('query-migrate')).status !== 'postcopy-active') await delay(1);
  }
  await stage.testbed.cutLink('dst');
  await delay(3000);
  t.equal(running.child.exitCode, null, 'the controller waits');
  await stage.testbed.setRate(37.5e6);
  await stage.testbed.restoreLink('dst');
  const { exitCode, stderr } = await running.ended;
  t.equal(exitCode, 0, stderr);
  t.match(stderr, /the guest has yet to resume: waiting for the link/);
  await checkCoherence(t, stage, stage.destination);
});

t.test('a QEMU killed in post-copy takes the guest with it, and that is said', async (t) => {
  for (const end of ['destination', 'source'] as const) {
    const stage = await stageWith(t, HOT, { link: '300mbit' });
    await stage.addDestination();
    const running = startMigrate(stage);
    await until(stage, 'postcopy-active');
    stage[end].kill('SIGKILL');
    const result = await running.ended;
    t.equal(result.exitCode, 7, `${end}: ${result.stderr}`);
    t.equal(result.document?.outcome, 'lost');
    await stage.testbed.down();
  }
});
