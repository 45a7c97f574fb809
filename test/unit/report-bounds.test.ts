// SPDX-License-Identifier: Apache-2.0
// What an experiment asks of its figures, from its file to the verdict.
import t from 'tap';
import { parseExperiment, type RunRecord } from '../../src/experiment/index.ts';
import { buildReport, seededRandom, type Verdict } from '../../src/report/index.ts';
import { resultSet, runRecord } from './support/run-records.ts';

const { bounds, policies } = parseExperiment(
  `schema: slackwater/experiment@1
name: x
title: X
guests: [{ name: hot64, memory: 64MiB, workload: idle }, { name: cold, memory: 64MiB, workload: idle }]
links: [1gbit]
policies: [adaptive, postcopy-immediate]
repeats: 3
cap: 40s
bounds:
  - guests: [hot64]
    policy: adaptive
    total: 1.10
    bytes: 1.05
    client-downtime: 150ms
    stop-to-resume: 30ms
    lost-work: { ratio: 0.5, of: postcopy-immediate }
  - { guests: [cold], policy: adaptive, by: precopy }`,
  'x.yaml',
);

const KEPT: Partial<RunRecord> = {
  tmtMs: 4400,
  floorMs: 4000,
  transferredBytes: 525e6,
  floorBytes: 500e6,
  downtimeGuestMs: 150,
  downtimeStopToResumeMs: 30,
  lostWorkMs: 1500,
};

function verdictsOf(fields: Partial<RunRecord>, repeats = 3, rivalLostMs: number | null = 3000): Verdict[] {
  const runs = (of: Partial<RunRecord>): RunRecord[] =>
    Array.from({ length: repeats }, (_, repeat) => runRecord({ ...KEPT, ...of, repeat }));
  const records = [
    ...runs(fields),
    ...runs({ policy: 'postcopy-immediate', ...(rivalLostMs === null ? {} : { lostWorkMs: rivalLostMs }) }),
  ];
  const names = policies.map(({ name }) => name);
  return [...buildReport(resultSet(records, { policies: names, bounds }), seededRandom(1)).verdicts];
}

const statesOf = (verdicts: readonly Verdict[]): Record<string, string> =>
  Object.fromEntries(verdicts.map(({ claim, state }) => [claim, state]));

t.test('medians on the bound keep it, and nothing is told of claims that cannot be judged', (t) => {
  const verdicts = verdictsOf({});
  t.same(statesOf(verdicts), {
    'total-within-bound': 'green',
    'bytes-within-bound': 'green',
    'client-downtime-within-bound': 'green',
    'stop-to-resume-within-bound': 'green',
    'lost-work-within-bound': 'green',
  });
  t.match(verdicts[0]?.text, /^1\.100 \(1\.100 to 1\.100\), within 1\.100$/);
  t.match(verdicts[4]?.text, /0\.500 times the 3\.00 s of postcopy-immediate/);
  t.end();
});

t.test('each bound that is not kept is red by itself, and says by how much', (t) => {
  const red = (fields: Partial<RunRecord>): string[] =>
    verdictsOf(fields)
      .filter(({ state }) => state === 'red')
      .map(({ claim, text }) => `${claim}: ${text}`);
  t.match(red({ tmtMs: 4404 }), [/^total-within-bound: 1\.101 .* above 1\.100/]);
  t.match(red({ transferredBytes: 530e6 }), [/^bytes-within-bound: 1\.060 .* above 1\.050/]);
  t.match(red({ downtimeGuestMs: 151 }), [/^client-downtime-within-bound: 151 ms .* above 150 ms/]);
  t.match(red({ downtimeStopToResumeMs: 31 }), [/^stop-to-resume-within-bound: 31 ms .* above 30 ms/]);
  t.match(red({ lostWorkMs: 1600 }), [/^lost-work-within-bound: 1\.60 s .* above 1\.50 s/]);
  t.equal(red({ outcome: 'failed' }).length, 0, 'a run that could not be carried out says nothing');
  t.equal(
    red({ outcome: 'source-running', tmtMs: null }).length,
    5,
    'one that did not finish breaks them all',
  );
  t.end();
});

t.test('what was not measured is open', (t) => {
  t.equal(statesOf(verdictsOf({}, 2))['total-within-bound'], 'open');
  t.equal(statesOf(verdictsOf({ lostWorkMs: null }))['lost-work-within-bound'], 'open');
  const { text } = verdictsOf({}, 3, null).find(({ claim }) => claim === 'lost-work-within-bound') ?? {};
  t.match(text, /0\.500 times the 1\.50 s/, 'the other has its own figure');
  t.end();
});

t.test('an end by pre-copy alone is asked of every run', (t) => {
  t.same(statesOf(verdictsOf({ guest: 'cold', usedPostcopy: false })), {
    'by-precopy': 'green',
    ...openFor(),
  });
  t.equal(statesOf(verdictsOf({ guest: 'cold', usedPostcopy: true }))['by-precopy'], 'red');
  t.end();
});

/** Of the guest of which the rival alone has runs. */
function openFor(): Record<string, string> {
  return {
    'total-within-bound': 'open',
    'bytes-within-bound': 'open',
    'client-downtime-within-bound': 'open',
    'stop-to-resume-within-bound': 'open',
    'lost-work-within-bound': 'open',
  };
}
