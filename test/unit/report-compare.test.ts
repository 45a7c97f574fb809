// SPDX-License-Identifier: Apache-2.0
// Two result sets side by side: what got better, what worse, and what cannot be told.
import t from 'tap';
import type { RunRecord } from '../../src/experiment/index.ts';
import {
  compareResultSets,
  comparisonDocument,
  comparisonLines,
  seededRandom,
} from '../../src/report/index.ts';
import { capped, noisyRuns, resultSet, runsOf } from './support/run-records.ts';

t.test('a known difference between two result sets is found, better as well as worse', (t) => {
  const before = resultSet([...runsOf('adaptive', 5000), ...runsOf('hybrid-2', 6000)]);
  const after = resultSet([...runsOf('adaptive', 5500), ...runsOf('hybrid-2', 5500)], {
    machine: { processor: 'none', qemu: '10.0.3', node: '20.20.2' },
  });
  const comparison = compareResultSets(before, after, seededRandom(1), 2000);
  t.equal(comparison.worse, true);
  t.match(comparison.changes.worse, [{ policy: 'adaptive', metric: 'tmt' }]);
  t.match(comparison.changes.better, [{ policy: 'hybrid-2', metric: 'tmt' }]);
  t.same(comparison.conditions, [{ name: 'qemu', before: '10.0.2', after: '10.0.3' }]);
  t.match(
    comparisonLines(comparison).join('\n'),
    /worse: 1\n {2}hot64 on 1gbit, adaptive: total time .*\+10 %/,
  );
  t.match(comparisonDocument(comparison), { schema: 'slackwater/compare@1', worse: true });
  const same = compareResultSets(before, before, seededRandom(1), 500);
  t.match([same.worse, same.changes.unchanged.length, same.changes.better.length], [false, 6, 0]);
  t.end();
});

t.test('where nothing changed, a comparison says worse about as seldom as it promises', (t) => {
  const trials = 200;
  let alarms = 0;
  for (let seed = 0; seed < trials; seed++) {
    const random = seededRandom(seed);
    const draw = () => resultSet(['a', 'b', 'c'].flatMap((guest) => noisyRuns(8, random, 0.2, { guest })));
    const { changes } = compareResultSets(draw(), draw(), random, 300);
    if (changes.worse.length + changes.better.length > 0) alarms++;
  }
  // Two metrics vary, each with a family-wise rate of at most 5 %: at most 10 %, 20 of 200.
  t.ok(alarms <= 34, `${alarms} of ${trials}`);
  t.end();
});

t.test('a change within twice the noise of control runs does not count, however certain', (t) => {
  const control = (random: number) =>
    noisyRuns(12, seededRandom(random), 0.08, { kind: 'control', guest: 'idle', policy: 'qemu-default' });
  const before = runsOf('adaptive', 5000);
  const after = runsOf('adaptive', 5400);
  const judged = (records: RunRecord[], controls: RunRecord[]) =>
    compareResultSets(resultSet([...before, ...controls]), resultSet(records), seededRandom(1), 2000);
  t.equal(judged(after, []).worse, true);
  t.equal(judged(after, control(3)).worse, false);
  t.equal(judged(runsOf('adaptive', 7500), control(3)).worse, true);
  t.end();
});

t.test('a policy that stopped working is worse although its hopeless cell was cut short', (t) => {
  const comparison = compareResultSets(
    resultSet(runsOf('adaptive', 5000)),
    resultSet(capped('adaptive')),
    seededRandom(1),
    2000,
  );
  t.match(comparison.changes.worse, [{ metric: 'completion', before: 1, after: 0, afterRuns: 2 }]);
  t.match(comparison.changes.notComparable, [{ metric: 'tmt', note: 'not measured after' }, {}]);
  t.end();
});

t.test('cells of one side, and too few runs, are not comparable', (t) => {
  const few = (tmtMs: number) => runsOf('adaptive', tmtMs, { downtimeGuestMs: null }).slice(0, 3);
  const comparison = compareResultSets(
    resultSet([...few(5000), ...runsOf('hybrid-2', 5000)]),
    resultSet([...few(9000), ...runsOf('oracle', 5000)]),
    seededRandom(1),
    500,
  );
  t.equal(comparison.worse, false);
  const notes = comparison.changes.notComparable.map(({ policy, note }) => `${policy}: ${note}`);
  t.same(notes, [
    'adaptive: too few runs to tell: 3 and 3',
    'adaptive: measured in neither',
    'hybrid-2: no runs in the later set',
    'oracle: no runs in the earlier set',
  ]);
  t.end();
});
