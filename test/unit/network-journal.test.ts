// SPDX-License-Identifier: Apache-2.0
// The journal of hosts' networks: what it holds, whoever reads it, and that nothing of it stays.

import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  abandonedJournals,
  type HostUndo,
  isNetworkJournal,
  JournalError,
  JournalLockedError,
  NetworkJournal,
  undoNetwork,
} from '../../src/act/index.ts';
import { restoreAbandoned, restoreUntilDone } from '../../src/control/index.ts';
import { HERE, OUR_ANCHOR, type Place } from '../../src/tc/index.ts';

const NOWHERE: Place = { kind: 'namespace', name: 'slackwater-no-such-namespace' };

function shaping(place: Place, device = 'eth0', filtered: readonly number[] = []): HostUndo {
  return {
    kind: 'nic',
    nic: { place, direction: 'send', device, anchor: OUR_ANCHOR, classCount: 2, filtered },
  };
}

const COUNTERS: HostUndo = { kind: 'counters', counters: { place: NOWHERE, table: 'slackwater_eth0' } };

t.test('what is written down another process can read, at any moment, and nobody else', (t) => {
  const directory = join(t.testdir(), 'run');
  const journal = NetworkJournal.create(directory);
  t.ok(isNetworkJournal(journal.path));
  t.equal(statSync(journal.path).mode & 0o777, 0o600);
  t.throws(() => NetworkJournal.open(journal.path), JournalLockedError, 'we live, and hold it');
  journal.add(shaping(HERE));
  journal.add(COUNTERS);
  journal.add(shaping(HERE, 'eth0', [1]));
  t.same(journal.undos, [shaping(HERE, 'eth0', [1]), COUNTERS], 'the same NIC counts once, as told last');
  journal.forget(shaping(HERE));
  t.same(journal.undos, [COUNTERS]);
  journal.close();
  t.ok(existsSync(journal.path), 'something is left to undo');
  t.same(NetworkJournal.open(journal.path).undos, [COUNTERS]);
  t.end();
});

t.test('what is gone with its namespace is undone, and nothing of the journal stays', async (t) => {
  const directory = join(t.testdir(), 'run');
  const journal = NetworkJournal.create(directory);
  journal.add(shaping(NOWHERE));
  journal.add(COUNTERS);
  t.same(await undoNetwork(journal), { restored: [], pending: [] });
  journal.close();
  t.notOk(existsSync(directory));
});

t.test(
  'restore undoes journals that were left, waits for those that are held, and takes gone ones for done',
  async (t) => {
    const directory = join(t.testdir(), 'run');
    const left = NetworkJournal.create(directory);
    left.add(COUNTERS);
    t.same(await restoreAbandoned(directory), [], 'ours is held');
    const { path } = left;
    const sleeps: number[] = [];
    const clock = {
      nowMs: () => 0,
      wallMs: () => 0,
      sleep: (ms: number): Promise<void> => {
        sleeps.push(ms);
        left.close();
        return Promise.resolve();
      },
    };
    const report = await restoreUntilDone(path, clock);
    t.equal(sleeps.length, 1, 'it was held, and asked for again');
    t.same(report.pending, []);
    t.notOk(existsSync(directory));
    t.same(await restoreUntilDone(path, clock), { path, restored: [], leftAlone: [], pending: [] });
  },
);

t.test(
  'a broken journal is said, not undone; a lock without a journal is swept once its writer is gone',
  (t) => {
    const directory = t.testdir();
    const path = join(directory, 'network-1-1.journal');
    writeFileSync(path, '{"version":2}');
    t.throws(() => NetworkJournal.open(path), JournalError);
    const lock = join(directory, 'network-2-2.journal.lock');
    writeFileSync(lock, '2147483647 1\n');
    writeFileSync(join(directory, 'network-2-2.journal.new'), '');
    t.same(abandonedJournals(directory), [path], 'as if somebody were about to write it');
    t.ok(existsSync(lock));
    utimesSync(lock, 0, 0);
    t.same(abandonedJournals(directory), [path]);
    t.same(readdirSync(directory), ['network-1-1.journal']);
    t.end();
  },
);
