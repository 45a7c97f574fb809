// SPDX-License-Identifier: Apache-2.0
// The recorded migrations that come with the project: each can be read, and replayed to the same result to the last bit.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { recordedCells } from '../../bench/recorded-cells.ts';
import { policyByName } from '../../src/decide/index.ts';
import { goOn, replay } from '../../src/simulate/index.ts';

const FOLDER = join(import.meta.dirname, '../../traces');
const LEAST_TRACES = 30;
const MOST_BYTES = 64 * 1024;

const directories = readdirSync(FOLDER)
  .map((name) => join(FOLDER, name))
  .filter((path) => statSync(path).isDirectory());

t.test(
  'there are enough of them, of synthetic guests and applications, with what the guest did before',
  (t) => {
    const cells = recordedCells(directories);
    t.ok(cells.length >= LEAST_TRACES, `${cells.length}`);
    t.ok(cells.filter(({ run }) => (run.context.profile?.samples.length ?? 0) > 10).length >= LEAST_TRACES);
    const guests = new Set(cells.map(({ record }) => record.guest));
    for (const guest of ['redis', 'sysbench', 'build-mix', 'hot', 'phases-6s'])
      t.ok(guests.has(guest), guest);
    t.end();
  },
);

t.test('each replays alike, and a policy that it parts ways with has an end', (t) => {
  const policy = policyByName('hybrid-1')!;
  for (const { record, run } of recordedCells(directories)) {
    const name = `${record.guest} ${record.link} ${record.policy}`;
    const recording = { ...run, actions: run.actions.filter(({ carriedOut }) => carriedOut) };
    const once = JSON.stringify(replay(policy, recording, null));
    t.equal(JSON.stringify(replay(policy, recording, null)), once, name);
    const end = goOn(policy, recording, 0, null);
    t.ok(end === null || end.outcome === 'completed', name);
  }
  t.end();
});

t.test('they are small', (t) => {
  for (const directory of directories) {
    for (const name of readdirSync(join(directory, 'runs'))) {
      const { size } = statSync(join(directory, 'runs', name, 'trace.msgpack'));
      t.ok(size <= MOST_BYTES, `${name}: ${size} bytes`);
    }
  }
  t.end();
});
