// SPDX-License-Identifier: Apache-2.0
// A guest is told beforehand what its migration will cost, and nothing of it is touched.

import t from 'tap';
import { runController } from '../../testbed/stage/controller.ts';
import { checkCoherence, HOT, MIB, migrate, readSettings, stageWith } from './support/live.ts';

interface EstimateDocument {
  readonly memory_bytes: number;
  readonly curve: { readonly hot_bytes: number };
  readonly ways: readonly {
    readonly way: string;
    readonly converges: boolean;
    readonly used_postcopy: boolean;
    readonly tmt_ms: { readonly expected: number; readonly low: number; readonly high: number } | null;
  }[];
  readonly recommendation: string;
}

t.test('a hot guest: pre-copy is ruled out beforehand, and the total time told', async (t) => {
  const stage = await stageWith(t, HOT);
  const before = await readSettings(stage.source);
  const asked = ['estimate', '--qmp', stage.source.qmpPath, '--link', '1gbit', '--sample', '5s'];
  const { exitCode, stdout, stderr } = await runController([...asked, '--json']);
  t.equal(exitCode, 0, stderr);
  const document = JSON.parse(stdout) as EstimateDocument;
  t.equal(document.memory_bytes, 256 * MIB);
  const hotMib = document.curve.hot_bytes / MIB;
  t.ok(hotMib > 48 && hotMib < 90, `${hotMib.toFixed(1)} MiB are hot, 64 are written`);
  const way = (name: string) => document.ways.find((each) => each.way === name);
  t.equal(way('pre-copy')?.converges, false);
  t.equal(way('adaptive')?.used_postcopy, true);
  t.match(document.recommendation, /^take (adaptive|hybrid)/);
  t.same(await readSettings(stage.source), before, 'nothing was changed');

  const text = await runController(asked);
  t.match(text.stdout, /does not converge/);

  await stage.addDestination();
  const migrated = await migrate(stage, '--profile', '3s');
  t.equal(migrated.exitCode, 0, migrated.stderr);
  t.equal(migrated.document?.outcome, 'completed');
  await checkCoherence(t, stage, stage.destination);
});

t.test('a guest that is not there, and input that makes no sense, are refused', async (t) => {
  const estimate = async (...args: string[]) => (await runController(['estimate', ...args])).exitCode;
  t.not(await estimate('--qmp', '/nowhere.qmp'), 0);
  t.equal(await estimate('--qmp', '/nowhere.qmp', '--sample', '1ms'), 2);
  t.equal(await estimate('--qmp', '/nowhere.qmp', '--link', 'fast'), 2);
  t.equal(await estimate('--qmp', '/nowhere.qmp', '--weights', 'speed=1'), 2);
});
