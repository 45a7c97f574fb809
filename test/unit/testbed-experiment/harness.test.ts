// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  expandExperiment,
  parseExperiment,
  RUN_SCHEMA,
  type RunRecord,
  parseRunRecords,
  type TrafficRecord,
} from '../../../src/experiment/index.ts';
import { checkPlan } from '../../../testbed/experiment/check-plan.ts';
import { foreignRatio, parseCpuTimes, stealRatio } from '../../../testbed/experiment/disturbance.ts';
import { foreignTicksAmong, parseProcessTimes } from '../../../testbed/experiment/foreign-load.ts';
import { migrateArgs, policyArgument } from '../../../testbed/experiment/migrate-args.ts';
import { readResults } from '../../../testbed/experiment/read-results.ts';
import { ResultsStore } from '../../../testbed/experiment/results-store.ts';
import { progressOf } from '../../../testbed/experiment/runner.ts';
import { nextAttempt } from '../../../testbed/traffic/runner.ts';
import { lostWorkMs, workPerSec } from '../../../testbed/measure/work-rates.ts';

const TEXT = `schema: slackwater/experiment@1
name: small
title: A small one
guests: [{ name: hot, memory: 1GiB, workload: steady-64m }]
links: [112mbit]
policies: [adaptive, nova-abort@scaled, { name: mine, policy: ./mine.mjs, objective: { postcopy: forbidden } }]
repeats: 1
cap: 20s
control: { every: 0 }
`;
const EXPERIMENT = parseExperiment(TEXT, 'small.yaml');
const PLAN = expandExperiment(EXPERIMENT);

function record(policy: string): RunRecord {
  return {
    schema: RUN_SCHEMA,
    kind: 'cell',
    guest: 'hot',
    link: '112mbit',
    policy,
    setting: null,
    repeat: 0,
    attempt: 0,
    startedAt: '2026-01-01T00:00:00.000Z',
    outcome: 'completed',
    reason: 'the guest runs on the destination',
    capped: false,
    tmtMs: 5000,
    downtimeQemuMs: 3,
    downtimeStopToResumeMs: 60,
    downtimeGuestMs: 200,
    downtimeGuestAtLeastMs: 199,
    downtimeForecastMs: 30,
    transferredBytes: 5e8,
    rounds: 3,
    usedPostcopy: true,
    floorBytes: 5e8,
    floorMs: 4300,
    workPerSec: { before: 100, during: 60, after: 100 },
    app: null,
    coherent: true,
    lostPages: 0,
    lostBlocks: 0,
    disturbances: [],
    stealRatio: 0,
    proberGapMs: 1,
    files: { trace: null, series: null, logs: [] },
  };
}

t.test('a result directory goes on where a killed runner left it', async (t) => {
  const directory = join(t.testdir(), 'results');
  const store = await ResultsStore.open(directory, TEXT, false, parseRunRecords);
  store.append(record('adaptive'));
  await t.rejects(ResultsStore.open(directory, TEXT, true, parseRunRecords), /another runner/);
  store.close();
  // Killed while it wrote the next line, its lock still there.
  appendFileSync(join(directory, 'runs.jsonl'), '{"schema":"slackwater/ru');
  writeFileSync(join(directory, 'runner.lock'), '{"pid":1');

  await t.rejects(ResultsStore.open(directory, TEXT, false, parseRunRecords), /results in .* already/);
  await t.rejects(ResultsStore.open(directory, `${TEXT}seed: 2\n`, true, parseRunRecords), /another version/);
  const resumed = await ResultsStore.open(directory, TEXT, true, parseRunRecords);
  t.same(
    resumed.records.map(({ policy }) => policy),
    ['adaptive'],
  );
  resumed.append(record('mine'));
  resumed.close();
  t.same(
    readResults(directory).records.map(({ policy }) => policy),
    ['adaptive', 'mine'],
  );
  t.notOk(existsSync(join(directory, 'runner.lock')));
});

t.test('results know which of their guests are busy and quiet by turns', (t) => {
  const guests = ['steady-64m', 'phases-2s', 'burst', './not-with-the-results.yaml'].map(
    (workload, i) => `{ name: g${i}, memory: 1GiB, workload: ${workload} }`,
  );
  const text = TEXT.replace(/^guests: .*$/m, `guests: [${guests.join(', ')}]`);
  t.same(readResults(t.testdir({ 'experiment.yaml': text })).guestsByTurns, ['g1', 'g2']);
  t.end();
});

t.test('what a killed runner left in a run’s own directory goes before the run is done again', async (t) => {
  const store = await ResultsStore.open(join(t.testdir(), 'results'), TEXT, false, parseRunRecords);
  const { path } = store.runDirectory('hot_adaptive_0', 0);
  writeFileSync(join(path, 'trace.msgpack'), 'half');
  t.equal(store.runDirectory('hot_adaptive_0', 0).path, path);
  t.notOk(existsSync(join(path, 'trace.msgpack')));
  t.not(store.runDirectory('hot_adaptive_0', 1).path, path, 'another attempt has its own');
  store.close();
});

t.test('a run is the command that an operator would type', (t) => {
  const [adaptive, nova, mine] = PLAN;
  t.same(migrateArgs(adaptive!, EXPERIMENT, '/somewhere/small.yaml', null, '/t'), [
    ...['--policy', 'adaptive', '--max-downtime', '300ms', '--give-up', '20000ms', '--trace', '/t'],
  ]);
  // 1 GiB over 14 MB/s takes 76.7 s, the published setting 77 s.
  t.equal(policyArgument(nova!, '/somewhere/small.yaml'), 'nova-abort@x0.996');
  t.equal(policyArgument(mine!, '/somewhere/small.yaml'), '/somewhere/mine.mjs');
  t.ok(migrateArgs(mine!, EXPERIMENT, '/somewhere/small.yaml', null, '/t').includes('--no-postcopy'));
  t.end();
});

t.test('what an experiment names and nobody has is told before the first run', async (t) => {
  const wrong = parseExperiment(
    TEXT.replace('steady-64m', 'no-such-work').replace('nova-abort@scaled', 'no-such-policy'),
    'small.yaml',
  );
  await t.rejects(
    checkPlan(expandExperiment(wrong), wrong, '/somewhere/small.yaml'),
    /no-such-work(.|\n)*no-such-policy/,
  );
});

t.test('progress counts what is done, and says how long the rest takes', (t) => {
  t.same(progressOf(PLAN, [record('adaptive')], 1, 30_000), {
    done: 1,
    hopeless: 0,
    total: 3,
    leftMs: 60_000,
  });
  t.equal(progressOf(PLAN, [], 0, 0).leftMs, null);
  t.end();
});

t.test('stolen time is that of the machine’s whole CPU time', (t) => {
  const before = parseCpuTimes('cpu  100 0 50 800 10 0 0 40 0 0\ncpu0 1 1 1');
  const after = parseCpuTimes('cpu  150 0 70 820 10 0 0 50 0 0\n');
  t.equal(stealRatio(before, after), 0.1);
  t.equal(stealRatio(before, before), 0);
  t.end();
});

t.test('work that is reported across an edge counts by its share, and a silence as no work', (t) => {
  const report = (receivedMonotonicMs: number, units: number) => ({
    sequence: 0,
    guestMs: 0,
    units,
    receivedMonotonicMs,
  });
  const reports = [report(0, 10), report(100, 10), report(200, 10), report(1200, 10)];
  t.equal(workPerSec(reports, 0, 200), 100);
  t.equal(workPerSec(reports, 150, 200), 100);
  t.equal(workPerSec(reports, 200, 1200), 10);
  t.equal(workPerSec([], 0, 100), null);
  t.equal(lostWorkMs(reports, 100, 200, 1200), 900, '10 of 100 units were done: the others take 900 ms');
  t.equal(lostWorkMs(reports, 50, 0, 200), -200, 'twice as much as before');
  t.equal(lostWorkMs(reports, 0, 200, 1200), null, 'a guest that did nothing before has nothing to lose');
  t.equal(lostWorkMs([], null, 0, 100), null);
  t.end();
});

t.test('the experiments that come with the testbed can be carried out', async (t) => {
  const folder = join(import.meta.dirname, '../../../testbed/experiments');
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  t.ok(files.length >= 8);
  for (const file of files) {
    const path = join(folder, file);
    const experiment = parseExperiment(readFileSync(path, 'utf8'), file);
    t.equal(`${experiment.name}.yaml`, file);
    await checkPlan(expandExperiment(experiment), experiment, path);
  }
});

t.test('programs of others are counted, our own and the kernel are not', (t) => {
  const line = (name: string, parent: number, ticks: readonly number[]): string =>
    `1 (${name}) S ${parent} 1 1 0 -1 0 0 0 0 0 ${ticks.join(' ')} 20 0 1 0 100 0 0`;
  const processes = [
    parseProcessTimes(1, line('init', 0, [1, 1, 1, 1])),
    parseProcessTimes(2, line('kthreadd', 0, [50, 0, 0, 0])),
    parseProcessTimes(9, line('kworker/0:1 (x) y', 2, [50, 50, 0, 0])),
    parseProcessTimes(100, line('runner', 1, [500, 0, 500, 0])),
    parseProcessTimes(101, line('qemu', 100, [900, 0, 0, 0])),
    parseProcessTimes(102, line('in qemu', 101, [90, 0, 0, 0])),
    parseProcessTimes(200, line('compiler', 1, [10, 20, 30, 40])),
  ];
  t.equal(foreignTicksAmong(processes, 100), 104);
  const use = (totalTicks: number, foreignTicks: number) => ({
    cpu: { totalTicks, stealTicks: 0 },
    foreignTicks,
  });
  t.equal(foreignRatio(use(1000, 104), use(2000, 154)), 0.05);
  t.equal(foreignRatio(use(1000, 104), use(2000, 50)), 0, 'one that ended took its ticks along');
  t.end();
});

t.test(
  'a traffic run is tried until it was undisturbed, three times at most, and once more where it failed',
  (t) => {
    const policy = { name: 'ours', plan: {}, priority: null, technique: null, oracleRank: null };
    const run = { key: '', case: { name: 'steps', vms: [], flows: [], probed: null }, policy, repeat: 1 };
    const record = (outcome: string, disturbances: readonly string[] = []) =>
      ({ case: 'steps', policy: 'ours', repeat: 1, outcome, disturbances }) as unknown as TrafficRecord;
    const undisturbed = record('carried-out');
    const disturbed = record('carried-out', ['somebody']);
    const failed = record('failed');
    t.equal(nextAttempt(run, []), 0);
    t.equal(nextAttempt({ ...run, repeat: 0 }, [undisturbed]), 0, 'of another repeat');
    t.equal(nextAttempt(run, [disturbed, undisturbed]), null);
    t.equal(nextAttempt(run, [disturbed, disturbed]), 2);
    t.equal(nextAttempt(run, [disturbed, disturbed, disturbed]), null);
    t.equal(nextAttempt(run, [failed]), 1);
    t.equal(nextAttempt(run, [failed, failed]), null);
    t.end();
  },
);
