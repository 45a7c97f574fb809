// SPDX-License-Identifier: Apache-2.0
// The controller killed at any moment: the guest is unharmed, its migration is not left throttled or held, and within two
// seconds every parameter is back.
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectQmp } from '../../src/qmp/index.ts';
import { seededRandom } from '../../src/report/index.ts';
import { type RunningController, runController } from '../../testbed/stage/controller.ts';
import type { Stage } from '../../testbed/stage/stage.ts';
import {
  checkCoherence,
  HOT,
  migrationStatus,
  readSettings,
  runState,
  stageWith,
  startMigrate,
} from './support/live.ts';

// Journals of its own: another controller on this machine has its in the common folder.
const RUNTIME = `/run/slackwater-test-${process.pid}`;
process.env['SLACKWATER_RUNTIME_DIR'] = RUNTIME;

const KILLS = Number(process.env['SLACKWATER_KILLS'] ?? 4);
const SEED = Number(process.env['SLACKWATER_SEED'] ?? Date.now() % 1e6);
const RESTORED_WITHIN_MS = 2000;

/** When to kill: `from` to `from + within` ms after the source has come to `after` (or after the controller was started). */
interface Moment {
  readonly phase: string;
  readonly after?: string;
  readonly fromMs: number;
  readonly withinMs: number;
}

// A first round of 256 MiB takes 2.2 s at 1 Gbit/s, the entry into post-copy 0.2 s, post-copy 0.6 s.
const MOMENTS: readonly Moment[] = [
  { phase: 'start-up', fromMs: 0, withinMs: 1500 },
  { phase: 'pre-copy', after: 'active', fromMs: 0, withinMs: 2200 },
  { phase: 'entry into post-copy', after: 'active', fromMs: 2200, withinMs: 700 },
  { phase: 'post-copy', after: 'postcopy-active', fromMs: 0, withinMs: 600 },
];

async function waitFor(stage: Stage, status: string, controller: RunningController): Promise<void> {
  // Or until the controller is over, where that status never comes.
  while (controller.child.exitCode === null && (await migrationStatus(stage.source)) !== status)
    await delay(10);
}

t.test(`a controller killed with SIGKILL at ${KILLS} random moments (seed ${SEED})`, async (t) => {
  const next = seededRandom(SEED);
  const stage = await stageWith(t, HOT);
  for (let i = 0; i < KILLS; i++) {
    const destination = await stage.addDestination();
    const before = await readSettings(stage.source);
    const controller = startMigrate(stage);
    const moment = MOMENTS[i % MOMENTS.length]!;
    if (moment.after !== undefined) await waitFor(stage, moment.after, controller);
    const killAtMs = moment.fromMs + next() * moment.withinMs;
    await delay(killAtMs);
    controller.child.kill('SIGKILL');
    const killed = (await controller.ended).signal === 'SIGKILL';
    const killedMs = performance.now();
    const statusAtKill = await migrationStatus(stage.source);
    let parametersBack = false;
    while (!parametersBack && performance.now() - killedMs < RESTORED_WITHIN_MS) {
      parametersBack =
        JSON.stringify((await readSettings(stage.source))['parameters']) ===
        JSON.stringify(before['parameters']);
      if (!parametersBack) await delay(50);
    }
    const backMs = performance.now() - killedMs;
    t.ok(
      parametersBack,
      `kill ${i + 1} in ${moment.phase}, at ${killAtMs.toFixed(0)} ms (${killed ? statusAtKill : 'over already'}): parameters back after ${backMs.toFixed(0)} ms`,
    );

    const status = await migrationStatus(stage.source);
    if (status === 'active' || status === 'setup') {
      // Goes on as stock QEMU would, without end for this guest; its owner ends it.
      const cancelled = await runController(['cancel', '--qmp', stage.source.qmpPath]);
      t.equal(cancelled.exitCode, 0, cancelled.stderr);
    }
    while (['postcopy-active', 'device', 'cancelling'].includes(await migrationStatus(stage.source))) {
      await delay(50);
    }
    // Not by the source's word: it says `completed` of the migration that it came by until the next one has begun.
    const arrived = (await runState(destination)) === 'running';
    t.equal((await runState(stage.source)) === 'running', !arrived, 'the guest runs in one place');
    await checkCoherence(t, stage, arrived ? destination : stage.source);
    // The guardian's last work, once no migration runs: capabilities.
    for (let wait = 0; wait < 100 && existsSync(RUNTIME); wait++) await delay(100);
    t.notOk(existsSync(RUNTIME), 'the guardian has undone its journal');
    t.same(await readSettings(stage.source), before);
    if (arrived) await stage.swap();
  }
});

t.test('what a guardian could not do, restore does', async (t) => {
  const stage = await stageWith(t, HOT);
  await stage.addDestination();
  const before = await readSettings(stage.source);
  const controller = startMigrate(stage, '--no-postcopy', '--deadline', '60s');
  while ((await migrationStatus(stage.source)) !== 'active') await delay(10);
  await delay(300);
  controller.child.kill('SIGKILL');
  await controller.ended;
  await runController(['cancel', '--qmp', stage.source.qmpPath]);
  const restored = await runController(['restore']);
  t.ok([0, 3, 6].includes(restored.exitCode ?? -1), restored.stderr);
  for (let wait = 0; wait < 100 && existsSync(RUNTIME); wait++) await delay(100);
  t.same(await readSettings(stage.source), before);
  await using client = await connectQmp(stage.source.monitorPath);
  t.equal((await client.execute('query-status')).running, true);
  await checkCoherence(t, stage, stage.source);
});
