// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  abandonedJournals,
  Journal,
  JournalError,
  JournalLockedError,
  type QemuInstance,
  readJournal,
  startTicksOf,
} from '../../src/act/index.ts';
import { settingsToUndo } from '../../src/act/undo.ts';
import { restoreUntilDone } from '../../src/control/index.ts';

const SOURCE: QemuInstance = {
  end: 'source',
  address: '/x.qmp',
  uuid: '00000000-0000-0000-0000-000000000001',
  vcpuThreadId: 42,
  startTicks: 7,
};

const ENTRY = { type: 'parameter', end: 'source', name: 'downtime-limit', before: 300, written: 1 } as const;

t.test('an entry is on file when append returns, readable by the owner alone', (t) => {
  const directory = join(t.testdir(), 'run');
  const journal = Journal.create(directory, [SOURCE], false);
  journal.append(ENTRY);
  t.same(readJournal(journal.path).entries, [ENTRY]);
  t.equal(statSync(journal.path).mode & 0o777, 0o600);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  journal.close();
  t.ok(existsSync(journal.path), 'something is left to undo');
  t.end();
});

t.test('nothing stays behind when everything is undone', (t) => {
  const directory = join(t.testdir(), 'run');
  const journal = Journal.create(directory, [SOURCE], false);
  journal.append(ENTRY);
  journal.forget(() => true);
  journal.close();
  t.notOk(existsSync(directory));
  t.end();
});

t.test('of a controller killed while it made its journal the guardian leaves nothing', async (t) => {
  const directory = join(t.testdir(), 'run');
  const path = Journal.pathOf(directory, [SOURCE]);
  await restoreUntilDone(path);
  t.notOk(existsSync(directory), 'before its lock');
  Journal.create(directory, [SOURCE], false);
  rmSync(path);
  // Its draft half written, its lock that of a process that is no more.
  writeFileSync(`${path}.new`, '{"version":1,');
  writeFileSync(`${path}.lock`, `${process.pid} ${(startTicksOf(process.pid) ?? 0) + 1}\n`);
  await restoreUntilDone(path);
  t.notOk(existsSync(directory), 'between its lock and its journal');
});

t.test('one controller a VM: a live holder locks others out, a dead one does not', (t) => {
  const directory = t.testdir();
  const journal = Journal.create(directory, [SOURCE], false);
  t.throws(() => Journal.create(directory, [SOURCE], false), JournalLockedError);
  t.same(abandonedJournals(directory), []);
  // A process id that was used again after its holder died does not hold the lock.
  writeFileSync(`${journal.path}.lock`, `${process.pid} ${(startTicksOf(process.pid) ?? 0) + 1}\n`);
  t.same(abandonedJournals(directory), [journal.path]);
  t.doesNotThrow(() => Journal.create(directory, [SOURCE], false));
  t.end();
});

t.test('a journal left by a crash keeps the true "before", for the same QEMU only', (t) => {
  const directory = t.testdir();
  const first = Journal.create(directory, [SOURCE], false);
  first.append(ENTRY);
  first.close();
  const again = Journal.create(directory, [SOURCE], false);
  t.same(again.content.entries, [ENTRY]);
  again.append({ ...ENTRY, before: 1, written: 250 });
  const [setting] = settingsToUndo(again.content.entries, 'source');
  t.equal(setting?.before, 300);
  t.same(setting?.written, [1, 250]);
  again.close();
  const [name] = abandonedJournals(directory);
  writeFileSync(name!, readFileSync(name!, 'utf8').replace('"vcpuThreadId":42', '"vcpuThreadId":43'));
  const other = Journal.create(directory, [SOURCE], false);
  t.same(other.content.entries, [], 'another QEMU behind the same socket');
  t.end();
});

t.test('a half-written last line is a change that was never made', (t) => {
  const directory = t.testdir();
  const journal = Journal.create(directory, [SOURCE], false);
  journal.append(ENTRY);
  appendFileSync(journal.path, '{"type":"parameter","end":"sou');
  t.same(readJournal(journal.path).entries, [ENTRY]);
  writeFileSync(journal.path, 'something else\n');
  t.throws(() => readJournal(journal.path), JournalError);
  t.end();
});

t.test('opening a journal that somebody else has just undone leaves nothing behind', (t) => {
  const directory = join(t.testdir(), 'runtime');
  t.throws(() => Journal.open(join(directory, 'gone.journal')));
  t.notOk(existsSync(directory));
  t.end();
});
