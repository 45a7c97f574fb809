// SPDX-License-Identifier: Apache-2.0
// Traffic experiments: their files, what is counted of a run, and what a report says of runs made by hand.

import t from 'tap';
import {
  expandTraffic,
  ExperimentError,
  parseTraffic,
  type TrafficRecord,
} from '../../../src/experiment/index.ts';
import {
  floorKeptRatio,
  linkUseRatio,
  seededRandom,
  trafficHtml,
  trafficMarkdown,
  trafficRows,
  usedRecords,
  weightedCompletionMs,
} from '../../../src/report/index.ts';

const TEXT = `
schema: slackwater/traffic@1
name: lab
title: Floors
link: 80mbit
repeats: 2
floor: 16mbit
vms:
  - { name: vm, memory: 208MiB, workload: converging }
cases:
  - { name: steps, flows: [{ from: near-src, to: client, rate: '8mbit, 2s: 40mbit' }], probed: near-src }
policies:
  - { name: ours, gang: slackwater-gang, workloads: { lower: 16mbit, upper: 40mbit } }
  - { name: unshaped, gang: all-serial, shaping: false, technique: precopy }
`;

t.test('a file is read, and its runs are interleaved', (t) => {
  const experiment = parseTraffic(TEXT, 'lab.yaml');
  t.match(experiment, {
    floorBytesPerSec: 2e6,
    cases: [
      {
        flows: [
          {
            steps: [
              { fromMs: 0, bytesPerSec: 1e6 },
              { fromMs: 2000, bytesPerSec: 5e6 },
            ],
          },
        ],
        probed: 'near-src',
      },
    ],
    policies: [
      { plan: { policy: 'slackwater-gang', workloads: { lower: '16mbit' } }, technique: null },
      { plan: { policy: 'all-serial', shaping: false }, technique: 'precopy' },
    ],
  });
  t.same(
    expandTraffic(experiment).map(({ key }) => key),
    ['steps/ours/0', 'steps/unshaped/0', 'steps/unshaped/1', 'steps/ours/1'],
  );
  t.end();
});

t.test('the oracle stands for the best orders of the model', (t) => {
  const { policies } = parseTraffic(`${TEXT}  - { name: oracle, gang: oracle }\n`, 'lab.yaml');
  t.same(
    policies.slice(2).map(({ name, oracleRank, plan }) => [name, oracleRank, plan['policy']]),
    [1, 2, 3].map((rank) => [`oracle-${rank}`, rank, 'as-written']),
  );
  t.ok(policies.slice(0, 2).every(({ oracleRank }) => oracleRank === null));
  t.end();
});

t.test('what is wrong with a file is told with its line', (t) => {
  const text = TEXT.replace('from: near-src', 'from: nowhere')
    .replace('8mbit, 2s: 40mbit', '8mbit, 2s: 40mbit, 1s: 3mbit')
    .replace('gang: all-serial', 'gnag: all-serial');
  const problem = t.throws(() => parseTraffic(text, 'lab.yaml'), ExperimentError) as unknown as Error;
  t.match(
    problem.message,
    /^lab\.yaml:11: cases\[0\]\.flows\[0\]\.from: expected near-src, near-dst or client/m,
  );
  t.match(problem.message, /^lab\.yaml:11: cases\[0\]\.flows\[0\]\.rate: expected a rate, or rates/m);
  t.match(problem.message, /did you mean gang\?/);
  t.end();
});

/** 40 windows of 100 ms from 1000 on; a migration from 2000 to 4000. */
function record(change: Partial<TrafficRecord>, arrived: (window: number) => number): TrafficRecord {
  const windows = Array.from({ length: 40 }, (_, i) => i);
  const flow = (bytes: readonly number[]) => ({ startMs: 1000, windowMs: 100, bytes, packets: 0 });
  return {
    schema: 'slackwater/traffic-run@1',
    case: 'steps',
    policy: 'ours',
    repeat: 0,
    attempt: 0,
    startedAt: '',
    outcome: 'carried-out',
    reason: 'all completed',
    coherent: true,
    disturbances: [],
    gang: {
      exit_code: 0,
      tmt_ms: 2000,
      downtime_sum_ms: 90,
      downtime_max_ms: 60,
      not_restored: [],
      vms: (['high', 'low'] as const).map((priority, i) => ({
        name: `vm${i}`,
        priority,
        technique: 'adaptive',
        deadline_met: i === 0 ? true : null,
        start_ms: 500 + i * 1000,
        end_ms: 1500 + i * 1000,
        migration: {
          outcome: 'completed',
          started_at_ms: 500 + i * 1000,
          tmt_ms: 1000,
          downtime_stop_to_resume_ms: 30,
          transferred_bytes: 1,
          used_postcopy: false,
        },
      })),
    },
    beganMs: 2000,
    endedMs: 4000,
    source: { startMs: 1000, windowMs: 100, sentBytes: windows.map(() => 1e6), receivedBytes: [] },
    flows: [
      {
        from: 'near-src',
        to: 'client',
        sent: flow(windows.map(() => 500_000)),
        received: flow(windows.map(arrived)),
      },
    ],
    probes: null,
    ...change,
  };
}

t.test('a floor is kept in the windows in which 95 % of it, or of the offer, arrive', (t) => {
  t.equal(
    floorKeptRatio(
      record({}, () => 200_000),
      2e6,
    ),
    1,
  );
  t.equal(
    floorKeptRatio(
      record({}, () => 189_000),
      2e6,
    ),
    0,
  );
  t.equal(
    floorKeptRatio(
      record({}, (i) => (i === 15 ? 0 : 200_000)),
      2e6,
    ),
    0.95,
    'one window of twenty',
  );
  t.equal(
    floorKeptRatio(
      record({}, (i) => (i < 10 ? 0 : 200_000)),
      2e6,
    ),
    1,
    'before the migration nothing counts',
  );
  t.equal(
    floorKeptRatio(
      record({}, () => 480_000),
      1e9,
    ),
    1,
    'no more is owed than was offered',
  );
  t.equal(
    floorKeptRatio(
      record({ beganMs: null }, () => 0),
      2e6,
    ),
    null,
  );
  t.end();
});

t.test('the link is used as far as its windows say, without the second after a step', (t) => {
  const half = record({}, () => 0);
  t.equal(linkUseRatio(half, 1e7, { atMs: [] }), 1);
  t.equal(linkUseRatio(half, 2e7, { atMs: [] }), 0.5);
  t.equal(linkUseRatio(half, 1e7, { atMs: [2500] }), 1);
  t.equal(linkUseRatio(half, 1e7, { atMs: [2000, 3000] }), null, 'nothing is left');
  t.end();
});

t.test('rows, table and page of runs made by hand', (t) => {
  const experiment = parseTraffic(TEXT, 'lab.yaml');
  const kept = record({}, () => 200_000);
  const disturbed = record({ repeat: 1, disturbances: ['somebody else'] }, () => 0);
  const again = record({ repeat: 1, attempt: 1 }, () => 200_000);
  const failed = record({ policy: 'unshaped', outcome: 'failed', reason: 'no room', gang: null }, () => 0);
  const records = [kept, disturbed, again, failed];
  t.same(usedRecords(records), [kept, again, failed], 'a disturbed run gives way to its repeat');
  t.equal(weightedCompletionMs(kept), 4 * 1000 + 1 * 2000);
  const rows = trafficRows(experiment, records, 1e7, seededRandom(1));
  t.match(rows[0], {
    policy: 'ours',
    runs: 2,
    completed: 2,
    failed: 0,
    lost: 0,
    deadlinesMet: 2,
    deadlines: 2,
  });
  t.match(rows[0]?.floorKept, { median: 1 });
  t.match(rows[1], { policy: 'unshaped', runs: 0, failed: 1, tmtMs: null });
  const markdown = trafficMarkdown(experiment, rows);
  t.match(markdown, /\| steps \| ours \| 2 \| 2 \| 2\.00 s \(/);
  t.match(markdown, /\| steps \| unshaped \| 0, 1 failed \|/);
  const only = trafficRows(experiment, [disturbed], 1e7, seededRandom(1));
  t.match(only[0], { runs: 1, disturbed: 1 }, 'better one that was disturbed than none, and it is said');
  const html = trafficHtml({ experiment, rows, linkBytesPerSec: 1e7, machine: { cpu: '<b>' } });
  t.match(html, /<svg/);
  t.notMatch(html, /<b>/, 'what comes from outside is text');
  t.end();
});
