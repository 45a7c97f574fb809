// SPDX-License-Identifier: Apache-2.0
// The sidecar: somebody else starts the migration over another monitor, as libvirt or a script would.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectQmp } from '../../src/qmp/index.ts';
import { readTrace } from '../../src/record/index.ts';
import type { Qemu } from '../../testbed/index.ts';
import { type RunningController, runController, startController } from '../../testbed/stage/controller.ts';
import type { Stage } from '../../testbed/stage/stage.ts';
import {
  checkCoherence,
  HOT,
  migrationStatus,
  readSettings,
  runState,
  settingsBecome,
  stageWith,
} from './support/live.ts';

async function setCapabilities(qemu: Qemu, names: readonly string[], state: boolean): Promise<void> {
  await using client = await connectQmp(qemu.monitorPath);
  await client.execute('migrate-set-capabilities', {
    capabilities: names.map((capability) => ({ capability, state })),
  });
}

/** What a starter does who has never heard of us. */
async function startByHand(stage: Stage, capabilities: readonly string[]): Promise<void> {
  await setCapabilities(stage.destination, capabilities, true);
  await setCapabilities(stage.source, capabilities, true);
  await using destination = await connectQmp(stage.destination.monitorPath);
  await destination.execute('migrate-incoming', { uri: stage.uri });
  await using source = await connectQmp(stage.source.monitorPath);
  await source.execute('migrate', { uri: stage.uri });
}

async function attachTo(stage: Stage, ...more: readonly string[]): Promise<RunningController> {
  let waiting: () => void = () => undefined;
  const attached = new Promise<void>((resolve) => (waiting = resolve));
  const controller = startController(
    ['attach', '--qmp', stage.source.qmpPath, '--json', ...more],
    (line) => line.includes('waiting for a migration') && waiting(),
  );
  await Promise.race([attached, controller.ended]);
  return controller;
}

const POSTCOPY = ['return-path', 'postcopy-ram', 'postcopy-preempt'];

t.test('a migration that somebody else starts is brought to its end', async (t) => {
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const trace = join(t.testdir(), 'attached.trace');
  const sidecar = await attachTo(stage, '--once', '--trace', trace);
  await startByHand(stage, POSTCOPY);
  const { exitCode, document, stderr } = await sidecar.ended;
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  t.equal(document?.used_postcopy, true, 'what its starter enabled was used');
  const actions = readTrace(trace).rows.filter(({ type }) => type === 'action');
  t.ok(
    actions.some(({ fields }) => fields['kind'] === 'shorten-queue'),
    'its connection was found, wherever it goes',
  );
  t.notMatch(stderr, /the send queue stays/);
  t.ok((document?.tmt_ms ?? 0) > 0);
  await setCapabilities(stage.source, POSTCOPY, false);
  t.same(await readSettings(stage.source), before, 'but for the starter’s own, every setting is as before');
  await checkCoherence(t, stage, stage.destination);
});

t.test('let go in the middle, it gives back what it set and the migration goes on', async (t) => {
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const sidecar = await attachTo(stage, '--once');
  await startByHand(stage, POSTCOPY);
  while ((await migrationStatus(stage.source)) !== 'active') await delay(10);
  await delay(300);
  sidecar.child.kill('SIGINT');
  const { exitCode, document } = await sidecar.ended;
  t.equal(exitCode, 6);
  t.equal(document?.outcome, 'unknown', 'a migration that goes on has not ended on the source');
  t.match(document?.command, /slackwater status/);
  t.equal(await migrationStatus(stage.source), 'active');
  t.same((await readSettings(stage.source))['parameters'], before['parameters']);

  const cancelled = await runController(['cancel', '--qmp', stage.source.qmpPath]);
  t.equal(cancelled.exitCode, 0, cancelled.stderr);
  await setCapabilities(stage.source, POSTCOPY, false);
  t.same(
    await settingsBecome(stage.source, before),
    before,
    'the guardian has switched the events off again',
  );
  await checkCoherence(t, stage, stage.source);
});

t.test('observing, it writes nothing and tells how it went', async (t) => {
  // Small and calm enough to be over by itself.
  const stage = await stageWith(t, { kind: 'steady', setBytes: 1024 * 1024, rateBytesPerSec: 1024 * 1024 });
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const sidecar = await attachTo(stage, '--once', '--mode', 'observe');
  t.same(await readSettings(stage.source), before, 'nothing is set while it waits');
  await startByHand(stage, ['return-path']);
  while ((await migrationStatus(stage.source)) !== 'active') await delay(10);
  await delay(500);
  t.same((await readSettings(stage.source))['parameters'], before['parameters'], 'nor while it watches');
  const { exitCode, document, stderr } = await sidecar.ended;
  t.equal(exitCode, 0, stderr);
  t.equal(document?.outcome, 'completed');
  t.equal(document?.used_postcopy, false);
  t.equal(await runState(stage.destination), 'running');
  await checkCoherence(t, stage, stage.destination);
});
