// SPDX-License-Identifier: Apache-2.0
// Migrations by the senses and levers of a patched QEMU: no page sent twice, none lost, and nothing held when nobody holds it.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { connectQmp } from '../../src/qmp/index.ts';
import { readTrace } from '../../src/record/index.ts';
import { runController } from '../../testbed/stage/controller.ts';
import { ensurePatchedQemu } from '../../testbed/image/index.ts';
import type { Qemu } from '../../testbed/index.ts';
import { carryOutCases, describeCase } from '../../testbed/soak/index.ts';
import { openLaboratory } from '../../testbed/stage/laboratory.ts';
import {
  checkCoherence,
  HOT,
  MIB,
  migrate,
  migrationStatus,
  readSettings,
  runState,
  settingsBecome,
  stageWith,
  startMigrate,
} from './support/live.ts';

// Journals of its own: another controller on this machine has its in the common folder.
const RUNTIME = `/run/slackwater-test-${process.pid}`;
process.env['SLACKWATER_RUNTIME_DIR'] = RUNTIME;

const STOCK = '/usr/bin/qemu-system-x86_64';

const sharedFolders = (): string[] =>
  readdirSync('/dev/shm').filter((name) => name.startsWith('slackwater-'));

interface Levers {
  readonly hold: boolean;
  readonly deferring: boolean;
  readonly 'packed-pages': number;
}

/** Over the testbed's own monitor. */
async function levers(qemu: Qemu): Promise<Levers> {
  await using client = await connectQmp(qemu.monitorPath);
  return (await client.executeRaw('x-slackwater-query')) as unknown as Levers;
}

t.test('a guest that never converges crosses once, to a stock QEMU, and comes back', async (t) => {
  const stage = await stageWith(t, HOT);
  const destination = await stage.addDestination({ qemuPath: STOCK });
  const trace = join(t.testdir(), 'hot.trace');
  const { exitCode, document, stderr } = await migrate(stage, '--trace', trace);
  t.equal(exitCode, 0, stderr);
  t.equal(document?.used_postcopy, true);
  t.ok(document!.transferred_bytes! < 256 * MIB * 1.05, `${document?.transferred_bytes} bytes were sent`);
  const actions = readTrace(trace).rows.filter(({ type }) => type === 'action');
  const kinds = actions.map(({ fields }) => fields['kind']);
  t.equal(kinds[0], 'hold');
  t.ok(
    ['defer', 'pack', 'start-postcopy'].every((kind) => kinds.includes(kind)),
    kinds.join(),
  );
  const { hold, deferring, 'packed-pages': packedPages } = await levers(stage.source);
  t.same({ hold, deferring }, { hold: false, deferring: false });
  t.ok(packedPages > 0, `${packedPages} pages went ahead of the guest`);
  t.same(sharedFolders(), []);
  await checkCoherence(t, stage, destination);

  await stage.swap();
  const patchedAgain = await stage.addDestination();
  const back = await migrate(stage);
  t.equal(back.exitCode, 0, back.stderr);
  await checkCoherence(t, stage, patchedAgain);
});

t.test('what fits at the end of the pass is handed over by pre-copy, with no second round', async (t) => {
  const stage = await stageWith(t, { kind: 'steady', setBytes: 16 * MIB, rateBytesPerSec: 100 * MIB });
  const destination = await stage.addDestination();
  const trace = join(t.testdir(), 'fits.trace');
  const { exitCode, document, stderr, stolenMs } = await migrate(stage, '--trace', trace);
  t.equal(exitCode, 0, stderr);
  if (document?.used_postcopy === true) {
    // A machine that is starved carries a fraction of the link's rate: then it does not fit.
    const switching = readTrace(trace).rows.find(({ fields }) => fields['kind'] === 'start-postcopy');
    const numbers = switching?.fields['numbers'] as Record<string, number> | undefined;
    const { deferredBytes = 0, residualBytes = 0, bandwidthBytesPerSec = Infinity } = numbers ?? {};
    t.ok((deferredBytes + residualBytes) / bandwidthBytesPerSec > 0.26, JSON.stringify(numbers));
  }
  const { downtime_stop_to_resume_ms: actualMs } = document!;
  t.ok(actualMs! <= 300 + stolenMs, `${actualMs} ms, ${stolenMs} ms stolen`);
  t.ok(document!.transferred_bytes! < 256 * MIB * 1.1, `${document?.transferred_bytes} bytes were sent`);
  await checkCoherence(t, stage, destination);
});

t.test('with multifd, too, pages are left out, and none is lost', async (t) => {
  const stage = await stageWith(t, { kind: 'steady', setBytes: 16 * MIB, rateBytesPerSec: 100 * MIB });
  const destination = await stage.addDestination();
  for (const qemu of [stage.source, destination]) {
    await using client = await connectQmp(qemu.monitorPath);
    await client.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'multifd', state: true }],
    });
  }
  const trace = join(t.testdir(), 'multifd.trace');
  const { exitCode, document, stderr } = await migrate(stage, '--allow-downtime', '1s', '--trace', trace);
  t.equal(exitCode, 0, stderr);
  t.equal(document?.used_postcopy, false);
  t.match(stderr, /post-copy cannot be used, multifd is on/);
  const leftOut = readTrace(trace)
    .rows.filter(({ fields }) => fields['kind'] === 'defer')
    .map(({ fields }) => (fields['numbers'] as Record<string, number>)['deferredBytes'] ?? 0);
  t.ok(Math.max(...leftOut) > 8 * MIB, leftOut.join());
  t.notMatch(stderr, /only watched/, 'QEMU refused none of it');
  t.ok(document!.transferred_bytes! < 256 * MIB * 1.1, `${document?.transferred_bytes} bytes were sent`);
  await checkCoherence(t, stage, destination);
});

t.test('cancelled while held, and killed while it holds and defers: nothing stays held', async (t) => {
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  await stage.addDestination();
  const interrupted = startMigrate(stage);
  while ((await migrationStatus(stage.source)) !== 'active') await delay(20);
  await delay(500);
  interrupted.child.kill('SIGINT');
  t.equal((await interrupted.ended).exitCode, 130);
  t.same(await settingsBecome(stage.source, before), before);
  await checkCoherence(t, stage, stage.source);

  await stage.addDestination();
  const killed = startMigrate(stage);
  while ((await migrationStatus(stage.source)) !== 'active') await delay(20);
  await delay(700);
  t.match(await levers(stage.source), { hold: true, deferring: true });
  killed.child.kill('SIGKILL');
  await killed.ended;
  // The guardian, or at the latest the end of the lease.
  for (let i = 0; i < 40 && (await levers(stage.source)).hold; i++) await delay(100);
  t.match(await levers(stage.source), { hold: false, deferring: false });
  for (let i = 0; i < 40 && sharedFolders().length > 0; i++) await delay(100);
  t.same(sharedFolders(), []);
  t.equal(await runState(stage.source), 'running');
  await runController(['cancel', '--qmp', stage.source.qmpPath]);
  t.same(await settingsBecome(stage.source, before), before);
  await checkCoherence(t, stage, stage.source);
  t.notOk(existsSync(RUNTIME), 'no journal stays');
});

const CASES = Number(process.env['SLACKWATER_SOAK_CASES'] ?? 12);

t.test(`${CASES} cases of the soak hold`, async (t) => {
  const laboratory = await openLaboratory((line) => t.comment(line));
  const patchedPath = await ensurePatchedQemu();
  const seed = Number(process.env['SLACKWATER_SEED'] ?? Date.now() % 1e6);
  t.comment(`seed ${seed}`);
  const indexes = Array.from({ length: CASES }, (_, index) => index);
  let count = 0;
  await carryOutCases(indexes, { laboratory, patchedPath, stockPath: STOCK, seed }, (result) => {
    count += 1;
    t.same(result.problems, [], describeCase(result.case));
  });
  t.equal(count, CASES);
});
