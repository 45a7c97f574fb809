// SPDX-License-Identifier: Apache-2.0
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UsageError } from '../../src/common/index.ts';
import type { Outcome } from '../../src/model/index.ts';
import {
  createTrace,
  readTrace,
  recordedRun,
  type TraceHeader,
  TraceWriteError,
} from '../../src/record/index.ts';
import { observation } from './support/observation.ts';
import { policyContext } from './support/policy-context.ts';

const HEADER: TraceHeader = {
  tool: 'slackwater',
  policy: 'adaptive',
  mode: 'enforce',
  qemuVersion: '10.0.2',
  objective: { maxDowntimeMs: 300 },
  startedAtMs: 1,
};

const OUTCOME: Outcome = {
  kind: 'completed',
  reason: 'the guest runs on the destination',
  command: null,
  interrupted: false,
  waitedMs: 0,
  tmtMs: 5000,
  qemuTotalMs: 5001,
  qemuDowntimeMs: 1,
  stopToResume: { ms: 45, uncertaintyMs: 0 },
  transferredBytes: 1,
  rounds: 2,
  usedPostcopy: true,
  givenUp: false,
  startedAtMs: 1_700_000_000_000,
  forecastDowntimeMs: 70,
  notRestored: [],
};

function write(path: string): void {
  const trace = createTrace(path, HEADER);
  trace.event(1, 'source', 'MIGRATION', { status: 'active', 'secret-path': '/x' }, 5);
  trace.action(
    2,
    { kind: 'set-parameters', change: { downtimeLimitMs: 1 }, reason: { text: 'hold', numbers: { a: 1 } } },
    true,
  );
  trace.note(3, 'a note');
  trace.outcome(4, OUTCOME);
  trace.close();
}

t.test('what was recorded is read back by name', (t) => {
  const path = join(t.testdir(), 'a.trace');
  write(path);
  const { header, rows, complete } = readTrace(path);
  t.same(header, HEADER);
  t.equal(complete, true);
  t.same(
    rows.map(({ type, atMs }) => [type, atMs]),
    [
      ['event', 1],
      ['action', 2],
      ['note', 3],
      ['outcome', 4],
    ],
  );
  t.same(rows[1]?.fields['change'], { downtimeLimitMs: 1 });
  t.equal(rows[3]?.fields['stopToResumeMs'], 45);
  t.end();
});

t.test('a migration comes back as the values that it was recorded from', (t) => {
  const directory = t.testdir();
  const path = join(directory, 'a.trace');
  const trace = createTrace(path, { ...HEADER, policy: 'qemu-default' });
  const context = policyContext({ linkBytesPerSec: 117e6 });
  const sample = { atMs: -250, windowMs: 250, dirtyBytes: 1e6, activity: null };
  const seen = observation({ unsentBytes: 5, dirtySamples: [{ windowMs: 100, dirtyBytes: 7 }] });
  trace.context(0, { ...context, profile: { memoryBytes: context.memoryBytes, samples: [sample] } });
  trace.profile(sample);
  trace.observation(seen);
  trace.close();
  const run = recordedRun(readTrace(path), path);
  t.same(run.context, { ...context, profile: { memoryBytes: context.memoryBytes, samples: [sample] } });
  t.same(run.observations, [seen]);
  t.equal(run.policy, 'qemu-default');
  t.equal(run.outcome, null, 'it was cut short');
  const empty = join(directory, 'b.trace');
  createTrace(empty, HEADER).close();
  t.throws(() => recordedRun(readTrace(empty), empty), /no observation/);
  t.end();
});

t.test('only allow-listed fields are written', (t) => {
  const path = join(t.testdir(), 'a.trace');
  write(path);
  t.notMatch(readFileSync(path, 'latin1'), /secret|\/x/);
  t.end();
});

t.test('a trace cut at any byte is read up to its last whole row', (t) => {
  const directory = t.testdir();
  const whole = join(directory, 'whole');
  write(whole);
  const bytes = readFileSync(whole);
  const headerBytes = (() => {
    const path = join(directory, 'header');
    createTrace(path, HEADER).close();
    return readFileSync(path).length;
  })();
  const cut = join(directory, 'cut');
  let rowsBefore = 0;
  for (let length = headerBytes; length < bytes.length; length++) {
    writeFileSync(cut, bytes);
    truncateSync(cut, length);
    const { rows, complete } = readTrace(cut);
    if (rows.length < rowsBefore || rows.length > 3) t.fail(`${rows.length} rows at ${length} bytes`);
    if (!complete || rows.length > 0) rowsBefore = rows.length;
  }
  t.equal(rowsBefore, 3);
  t.end();
});

t.test('an existing file is not overwritten, and what is no trace is refused', (t) => {
  const directory = t.testdir({ other: 'hello' });
  const path = join(directory, 'other');
  t.throws(() => createTrace(path, HEADER), TraceWriteError);
  t.equal(readFileSync(path, 'utf8'), 'hello');
  t.throws(() => readTrace(path), UsageError);
  t.throws(() => readTrace(join(directory, 'absent')), UsageError);
  t.end();
});
