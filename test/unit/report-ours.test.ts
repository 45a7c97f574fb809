// SPDX-License-Identifier: Apache-2.0
// Our policy on several QEMUs in one report, and why a claim of it does not hold.
import t from 'tap';
import { parseExperiment } from '../../src/experiment/index.ts';
import { buildReport, parseReasons, renderMarkdown, seededRandom } from '../../src/report/index.ts';
import { capped, resultSet, runsOf } from './support/run-records.ts';

t.test('ours on another QEMU is judged by itself, and is no rival of ours', (t) => {
  const records = [
    ...capped('qemu-default'),
    ...runsOf('adaptive', 5000),
    ...runsOf('adaptive-patched', 4000),
    ...runsOf('hybrid-2', 4500),
  ];
  const policies = ['qemu-default', 'hybrid-2', 'adaptive', 'adaptive-patched'];
  const { verdicts, against } = buildReport(
    resultSet(records, { policies, ours: ['adaptive', 'adaptive-patched'] }),
    seededRandom(1),
  );
  const tmt = verdicts.filter(({ claim }) => claim === 'lowest-tmt');
  t.same(
    tmt.map(({ policy, state }) => [policy, state]),
    [
      ['adaptive', 'red'],
      ['adaptive-patched', 'green'],
    ],
  );
  t.match(tmt[0]!.text, /while hybrid-2 has/);
  t.match(tmt[1]!.text, /next is hybrid-2 with/);
  t.same(
    against.map(({ policy, rival }) => `${policy} ${rival}`),
    [
      'adaptive hybrid-2',
      'adaptive adaptive-patched',
      'adaptive-patched hybrid-2',
      'adaptive-patched adaptive',
    ],
  );
  t.end();
});

t.test('why a claim does not hold is told beside it, and only where it does not', (t) => {
  const experiment = parseExperiment(
    `schema: slackwater/experiment@1
name: x
title: X
guests: [{ name: hot64, memory: 64MiB, workload: idle }]
links: [1gbit]
policies: [adaptive]
repeats: 1
cap: 40s`,
    'x.yaml',
  );
  const text = `schema: slackwater/reasons@1
reasons:
  - { guests: [hot64], policy: adaptive, claim: lowest-tmt, reason: it keeps its clients' silence short }`;
  const reasons = parseReasons(text, 'reasons.yaml', experiment);
  const stuck = capped('qemu-default');
  const said = (rivalMs: number): string =>
    renderMarkdown(
      buildReport(
        resultSet([...stuck, ...runsOf('adaptive', 5000), ...runsOf('hybrid-2', rivalMs)], { reasons }),
        seededRandom(1),
      ),
    );
  t.match(said(4000), /\*\*red\*\* hot64 on 1gbit, adaptive, lowest-tmt: .* Why: it keeps/);
  t.notMatch(said(6000), /Why:/);
  t.throws(
    () =>
      parseReasons(text.replace('hot64', 'cold').replace('lowest-tmt', 'best'), 'reasons.yaml', experiment),
    /reasons\.yaml:3: reasons\[0\]\.guests\[0\]: expected hot64, got "cold"[^]*claim: expected lowest-tmt, /,
  );
  t.end();
});
