// SPDX-License-Identifier: Apache-2.0
// Experiments on a bad day: the runner killed, a workload that does not start, a QEMU that dies, a full disk, a wrong file.
// Each time what was carried out is kept, what was not says why, and nothing stays on the machine.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { latestAttempts, runKey, type RunRecord } from '../../src/experiment/index.ts';
import { connectQmp } from '../../src/qmp/index.ts';
import { seededRandom } from '../../src/report/index.ts';
import { run } from '../../testbed/index.ts';
import {
  leftOnMachine,
  processesWith,
  recordsIn,
  runTestbed,
  sourceQemuOf,
  startTestbed,
  temporaryFolder,
} from './support/experiments.ts';

const KILLS = Number(process.env['SLACKWATER_KILLS'] ?? 1);
/** One run for each kill, and one more. */
const REPEATS = KILLS + 1;
const SEED = Number(process.env['SLACKWATER_SEED'] ?? Date.now() % 1e6);

/** Short runs: a small guest that hardly writes, and no time to settle. */
const HEAD = `schema: slackwater/experiment@1
name: bad-day
title: Runs that something happens to
links: [lan-1g]
objective: { max-downtime: 300ms }
cap: 20s
settle: 0s
attempts: 1
control: { every: 0 }
`;
const CALM = '{ name: calm, memory: 160MiB, workload: steady-small }';

/** Redis may hold 1 MiB, of which it takes most for itself. */
const STARVED = `schema: slackwater/workload@1
name: starved
title: A redis that has no room for its records
app: { name: redis, memory: 1MiB }
load: { records: 5000, value: 8B, reads: 50%, zipf: 0.5, requestsPerSec: 100, connections: 2 }
arena: 64MiB
pattern: { kind: idle }
`;

function isGood({ outcome, coherent, lostPages, lostBlocks }: RunRecord): boolean {
  return outcome === 'completed' && coherent === true && lostPages === 0 && lostBlocks === 0;
}

/** What has been recorded so far: whole lines. */
function recorded(results: string): string {
  const path = join(results, 'runs.jsonl');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

t.test(`a runner killed with SIGKILL at random moments (${KILLS}) goes on (seed ${SEED})`, async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'bad-day.yaml');
  writeFileSync(file, `${HEAD}guests: [${CALM}]\npolicies: [adaptive]\nrepeats: ${REPEATS}\n`);
  const results = join(folder, 'results');
  const next = seededRandom(SEED);
  const pids: number[] = [];
  let before = '';
  for (let i = 0; i < KILLS; i++) {
    const resume = i > 0 ? ['--resume'] : [];
    const runner = startTestbed(t, 'experiment', 'run', file, '--results', results, ...resume);
    pids.push(runner.child.pid!);
    // In another run each time, which takes some eight seconds, and four more where the link is measured first.
    await runner.says(new RegExp(`^\\[${i}/`));
    const killAtMs = next() * (i === 0 ? 12_000 : 8_000);
    await delay(killAtMs);
    runner.child.kill('SIGKILL');
    const { exitCode, stderr } = await runner.ended;
    const now = recorded(results);
    t.ok(
      exitCode === null && now.startsWith(before),
      `kill ${i + 1} after ${killAtMs.toFixed(0)} ms, ${now.split('\n').length - 1} runs recorded: ${stderr.split('\n').at(-1)!}`,
    );
    before = now;
  }
  const last = startTestbed(t, 'experiment', 'run', file, '--results', results, '--resume');
  pids.push(last.child.pid!);
  const { exitCode, stderr } = await last.ended;
  t.equal(exitCode, 0, stderr);
  t.ok(recorded(results).startsWith(before), 'what was recorded stays');
  const records = recordsIn(results);
  const attempts = records.map((record) => `${runKey(record)} ${record.attempt}`);
  t.equal(new Set(attempts).size, attempts.length, 'no attempt was made twice');
  const counting = latestAttempts(records);
  t.equal(counting.length, REPEATS);
  t.ok(counting.every(isGood), 'every run is complete, and no guest lost anything');
  for (const { files } of counting) t.ok(existsSync(join(results, files.trace!)), files.trace!);
  t.same(await leftOnMachine(pids, folder), []);
  t.notOk(existsSync(join(results, 'runner.lock')));
});

t.test('a workload that does not start and a QEMU that dies fail their own runs only', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'bad-day.yaml');
  const starved = '{ name: starved, memory: 256MiB, workload: ./starved.yaml }';
  writeFileSync(file, `${HEAD}guests: [${starved}, ${CALM}]\npolicies: [adaptive]\nrepeats: 1\n`);
  writeFileSync(join(folder, 'starved.yaml'), STARVED);
  const results = join(folder, 'results');
  const runner = startTestbed(t, 'experiment', 'run', file, '--results', results);
  await runner.says(/\] calm\//);
  // The monitor takes one client at a time: the testbed's own first, until the controller is at work.
  while (runner.child.exitCode === null && processesWith(join(results, 'runs', 'calm_')).length === 0) {
    await delay(20);
  }
  const source = sourceQemuOf(runner.child.pid!)!;
  {
    await using monitor = await connectQmp(source.monitorPath);
    while ((await monitor.execute('query-migrate')).status !== 'active') await delay(5);
    process.kill(source.pid, 'SIGKILL');
  }
  const { exitCode, stderr } = await runner.ended;
  t.equal(exitCode, 4, stderr);
  t.match(stderr, /1 of 2 runs could not be carried out:\n {2}starved\/lan-1g\/adaptive\/0: .*OOM/);
  t.match(stderr, /slackwater-testbed report/);
  t.same(
    recordsIn(results).map(({ guest, attempt, outcome }) => `${guest} ${attempt} ${outcome}`),
    ['starved 0 failed', 'starved 1 failed', 'calm 0 failed', 'calm 1 completed'],
    'a failed run is tried again, once',
  );
  const [noRoom, , noQemu, good] = recordsIn(results);
  t.match(noRoom!.reason, /kvload could not load its records: .*OOM/);
  t.match(noQemu!.reason, /the migration ended .*the guest cannot be checked/);
  t.comment(noQemu!.reason);
  t.ok(isGood(good!));
  for (const { files, guest } of [noRoom!, noQemu!]) {
    t.ok(
      files.logs.some((path) => path.endsWith('src-1.qemu.log')),
      `${guest}: QEMU's log is kept`,
    );
    t.ok(files.logs.every((path) => existsSync(join(results, path))));
  }
  t.ok(
    noQemu!.files.logs.some(
      (path) => path.endsWith('controller.log') && statSync(join(results, path)).size > 0,
    ),
    'and what the controller said',
  );
  t.same(await leftOnMachine([runner.child.pid!], folder), []);
  const report = await runTestbed(t, 'report', results);
  t.equal(report.exitCode, 0, report.stderr);
  t.match(readFileSync(join(results, 'report', 'report.html'), 'utf8'), /not measured: 2 failed attempts/);
});

t.test('a full disk fails the run that it hits; with space again the rest is carried out', async (t) => {
  const folder = temporaryFolder(t);
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
  t.teardown(() => run(['umount', disk]));
  const file = join(folder, 'bad-day.yaml');
  writeFileSync(file, `${HEAD}guests: [${CALM}]\npolicies: [adaptive, hybrid-1]\nrepeats: 1\n`);
  const results = join(disk, 'results');
  const runner = startTestbed(t, 'experiment', 'run', file, '--results', results);
  await runner.says(/^\[1\/2/);
  const filler = join(disk, 'filler');
  try {
    writeFileSync(filler, Buffer.alloc(8 * 1024 * 1024));
  } catch {
    // As much as there was room for.
  }
  const { exitCode, stderr } = await runner.ended;
  t.equal(exitCode, 4, stderr);
  t.match(stderr, /wanted 1.0 MiB free in .*, got /);
  t.match(stderr, /free some space and go on with --resume/);
  const atFull = recordsIn(results);
  t.same(
    atFull.map(({ policy, outcome }) => `${policy} ${outcome}`),
    ['adaptive completed', 'hybrid-1 failed'],
  );
  t.match(atFull[1]!.reason, /no space left on device/);

  const noRoom = await runTestbed(t, 'experiment', 'run', file, '--results', results, '--resume');
  t.equal(noRoom.exitCode, 4);
  t.match(noRoom.stderr, /cannot write .*no space left on device/);
  rmSync(filler);
  const resumed = await runTestbed(t, 'experiment', 'run', file, '--results', results, '--resume');
  t.equal(resumed.exitCode, 0, resumed.stderr);
  const records = recordsIn(results);
  t.same(records.slice(0, 2), atFull, 'what was there is unharmed');
  t.ok(latestAttempts(records).every(isGood));
  t.same(await leftOnMachine([runner.child.pid!], folder), []);
});

t.test('a wrong file is told line by line before anything is made', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'wrong.yaml');
  writeFileSync(
    file,
    `${HEAD}guests: [${CALM}]\npolicies: [adaptive]\nrepeats: some\ncap: 1h\nlink: lan-1g\n`,
  );
  const results = join(folder, 'results');
  const wrong = await runTestbed(t, 'experiment', 'run', file, '--results', results);
  t.equal(wrong.exitCode, 2);
  t.match(wrong.stderr, /wrong.yaml:12: repeats: expected a whole number from 1 to 1000, got "some"/);
  t.match(wrong.stderr, /wrong.yaml:13: cap: given twice, first in line 6/);
  t.match(wrong.stderr, /wrong.yaml:14: link: unknown key; did you mean links\?/);
  writeFileSync(
    file,
    `${HEAD}guests: [{ name: a, memory: 160MiB, workload: ./a.yaml }]\npolicies: [adaptive]\nrepeats: 1\n`,
  );
  writeFileSync(
    join(folder, 'a.yaml'),
    'schema: slackwater/workload@1\nname: a\ntitle: A\npattern: { kind: steady }\n',
  );
  const workload = await runTestbed(t, 'experiment', 'run', file, '--results', results);
  t.equal(workload.exitCode, 2);
  t.match(workload.stderr, /a.yaml:4: pattern.set: /);
  t.notOk(existsSync(results), 'no results were begun');
});
