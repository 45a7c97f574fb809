// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import { GIB, MIB } from '../../src/common/index.ts';
import { ExperimentError, parseExperiment } from '../../src/experiment/index.ts';
import { FULL } from './support/experiments.ts';

const SMALL = `schema: slackwater/experiment@1
name: small
title: Small
guests: [{ name: one, memory: 512MiB, workload: steady }]
links: [lan-1g]
policies: [adaptive]
repeats: 2
cap: 60s
`;

function errorOf(read: () => unknown): ExperimentError {
  try {
    read();
  } catch (error) {
    if (error instanceof ExperimentError) return error;
    throw error;
  }
  return new ExperimentError('', []);
}

/** The lines of the message that a file gets; none for a file without problems. */
function problemsOf(text: string): string[] {
  const { message } = errorOf(() => parseExperiment(text, 'x.yaml'));
  return message === '' ? [] : message.split('\n');
}

/** SMALL with lines put in place of those that begin with the same key, or added. */
function smallWith(...lines: string[]): string {
  const keyOf = (line: string) => line.split(':')[0];
  const isKept = (line: string) => !lines.some((other) => keyOf(other) === keyOf(line));
  return [...SMALL.trimEnd().split('\n').filter(isKept), ...lines, ''].join('\n');
}

t.test('an experiment file is read into values with units', (t) => {
  const { guests, policies, control, hosts, objective, ...rest } = parseExperiment(FULL, 'convergence.yaml');
  t.match(rest, { schema: 'slackwater/experiment@1', name: 'convergence', title: 'Who finishes', seed: 7 });
  t.match(rest, { about: 'How soon, and what the clients see.\n', links: ['lan-1g', '112mbit'] });
  t.match(rest, { maxBandwidthBytesPerSec: 2e9, repeats: 5, maxAttempts: 2, capMs: 120_000, settleMs: 1500 });
  t.same(objective, { maxDowntimeMs: 300, allowDowntimeMs: 800, deadlineMs: 60_000, postcopy: 'allowed' });
  t.same(guests, [
    { name: 'hot-64m', memoryBytes: 512 * MIB, vcpus: 1, workload: 'steady-64m' },
    { name: 'wide', memoryBytes: 2 * GIB, vcpus: 2, workload: 'zipf' },
  ]);
  const named = (id: string, scaled = false) => ({ kind: 'named', id, scaled });
  const precopy = { ...objective, deadlineMs: null, postcopy: 'forbidden' };
  t.same(policies, [
    { name: 'adaptive', source: named('adaptive'), objective, profileMs: null, qemu: 'stock' },
    { name: 'nova@scaled', source: named('nova', true), objective, profileMs: null, qemu: 'stock' },
    {
      name: 'mine',
      source: { kind: 'file', path: './policies/mine.mjs' },
      objective,
      profileMs: null,
      qemu: 'stock',
    },
    {
      name: 'adaptive-precopy',
      source: named('adaptive'),
      objective: precopy,
      profileMs: null,
      qemu: 'patched',
    },
  ]);
  t.same(control, {
    everyRuns: 20,
    policy: { name: 'nova', source: named('nova'), objective, profileMs: null, qemu: 'stock' },
  });
  t.same(hosts, {
    source: { ssh: 'host1', nic: 'eth1', address: '10.0.0.1', qemu: '/usr/bin/qemu' },
    destination: { ssh: 'root@host2', nic: 'eth1', address: 'fd00::2', qemu: '/opt/qemu' },
    client: { ssh: 'host3', address: '10.0.0.3' },
    guest: { address: '10.0.0.10/24' },
  });
  t.end();
});

t.test('what a file leaves out has defaults', (t) => {
  const { objective, guests, control, ...rest } = parseExperiment(SMALL, 'small.yaml');
  t.same(objective, { maxDowntimeMs: 300, allowDowntimeMs: null, deadlineMs: null, postcopy: 'allowed' });
  t.match(rest, {
    about: null,
    maxBandwidthBytesPerSec: null,
    settleMs: 2000,
    settleToMs: 2000,
    maxAttempts: 3,
    seed: 1,
    hosts: null,
    bounds: [],
  });
  t.equal(guests[0]?.vcpus, 1);
  t.match(control, { everyRuns: 10, policy: { name: 'qemu-default' } });
  t.equal(parseExperiment(smallWith('control: { every: 0 }'), 'small.yaml').control, null);
  t.equal(parseExperiment(smallWith('control:'), 'small.yaml').control?.everyRuns, 10);
  t.equal(parseExperiment(smallWith('title: 2024'), 'small.yaml').title, '2024');
  t.end();
});

// A line for smallWith => what is said of it.
const PROBLEMS = `
cap: 120 => 8: cap: expected a duration of 1s to 24h, such as 300ms or 60s, got 120
cap: [60s] => 8: cap: expected a duration of 1s to 24h, such as 300ms or 60s, got a list
repeats: 0 => 8: repeats: expected a whole number from 1 to 1000, got 0
repeats: 2.5 => 8: repeats: expected a whole number from 1 to 1000, got 2.5
name: Größe => 8: name: expected a name of a-z, 0-9 and - (at most 60), got "Größe"
schema: x@9 => 8: schema: expected slackwater/experiment@1, got "x@9"
links: [] => 8: links: expected a list of one or more, got an empty list
links: [112mbot] => 8: links[0]: expected the name of a link, or a rate such as 300mbit, got "112mbot"
links: [64MiB/s, 64mib] => 8: links[1]: "64mib" is given already: links[0] in line 8
policies: [nova, nova] => 8: policies[1]: "nova" is given already: policies[0] in line 8
policies: [a b] => 8: policies[0]: expected the name of a policy, NAME@scaled, or a file such as ./mine.mjs, got "a b"
policies: [./My.mjs] => 8: policies[0]: expected a file whose name is made of a-z, 0-9 and -, or {name: ..., policy: ./My.mjs}, got "./My.mjs"
policies: [{ policy: nova }] => 8: policies[0].name: expected a name of a-z, 0-9 and - (at most 60), got nothing
guests: [{ name: g, memory: 1MB, workload: w }] => 8: guests[0].memory: expected a size in whole MiB, such as 512MiB or 2GiB, got "1MB"
guests: [{ name: g, memory: 1GiB, workload: ../w }] => 8: guests[0].workload: expected the name of a workload, or a file such as ./mine.yaml, got "../w"
guests: [{ name: idle, memory: 1GiB, workload: w }] => 8: guests[0].name: expected a name other than "idle", which is that of the control runs' guest
objective: { max-downtime: 0ms } => 9: objective.max-downtime: expected a duration of 1ms to 2000s, such as 300ms or 60s, got "0ms"
objective: { max_downtime: 1s } => 9: objective.max_downtime: unknown key; did you mean max-downtime?
objective: { allow-downtime: 200ms } => 9: objective.allow-downtime: expected an allow-downtime no lower than max-downtime (300 ms), got 200 ms
capp: 3s => 9: capp: unknown key; did you mean cap?
control: { rate: 3 } => 9: control.rate: unknown key; expected one of every, policy
bounds: [] => 9: bounds: expected a list of one or more, got an empty list
bounds: [{ guests: [one], policy: adaptive }] => 9: bounds[0]: expected something that is asked: one of total, bytes, client-downtime, stop-to-resume, lost-work, by
bounds: [{ guests: [nobody], policy: adaptive, by: precopy }] => 9: bounds[0].guests[0]: expected one, got "nobody"
bounds: [{ guests: [one], policy: adaptive, lost-work: 0.5 }] => 9: bounds[0].lost-work: expected a mapping, got 0.5
bandwidth: *fast => 9: bandwidth: there is no anchor &fast
`;

t.test('a problem is told with file, line, key, what was wanted and what was got', (t) => {
  const [maybe] = problemsOf(FULL.replace('postcopy: forbidden', 'postcopy: maybe'));
  t.match(maybe, /^x\.yaml:20: policies\[3\]\.objective\.postcopy: expected allowed, .* got "maybe"$/);
  for (const [line = '', problem = ''] of PROBLEMS.trim()
    .split('\n')
    .map((pair) => pair.split(' => '))) {
    t.same(problemsOf(smallWith(line)), [`x.yaml:${problem}`]);
  }
  t.match(problemsOf(FULL.replace('root@host2', '-oX=x')), [/hosts\.destination\.ssh: expected a host/]);
  t.match(problemsOf(FULL.replace('root@host2', 'host1')), [/another ssh than that of the source/]);
  t.same(problemsOf(''), ['x.yaml:1: expected a mapping, got nothing']);
  t.same(problemsOf('- a'), ['x.yaml:1: expected a mapping, got a list']);
  t.end();
});

t.test('all problems are told at once, by line, and none twice', (t) => {
  const text = smallWith('repeats: many', 'cap: soon', 'repeat: 3', 'cap: 3s', 'hosts: here');
  t.same(problemsOf(text), [
    'x.yaml:7: repeats: expected a whole number from 1 to 1000, got "many"',
    'x.yaml:8: cap: expected a duration of 1s to 24h, such as 300ms or 60s, got "soon"',
    'x.yaml:9: repeat: unknown key; did you mean repeats?',
    'x.yaml:10: cap: given twice, first in line 8',
    'x.yaml:11: hosts: expected a mapping, got "here"',
  ]);
  const error = errorOf(() => parseExperiment(text, 'x.yaml'));
  t.match(error, { code: 'ERR_EXPERIMENT', exitCode: 2, problems: [{ line: 7, path: 'repeats' }] });
  t.end();
});

t.test('broken YAML is told with its line, and nothing is guessed from it', (t) => {
  t.match(problemsOf(SMALL.replace('[lan-1g]', '[lan-1g')).at(-1), /^x\.yaml:6: .*\]/);
  const unclosed = problemsOf(SMALL.replace('title: Small', 'title: "Small'));
  t.ok(unclosed.every((problem) => /^x\.yaml:\d+: [A-Z]/.test(problem)));
  t.match(problemsOf(`${SMALL}\tseed: 1\n`)[0], /^x\.yaml:9: Tabs are not allowed/);
  t.match(problemsOf(`${SMALL}---\na: 1\n`)[0], /^x\.yaml:9: Source contains multiple documents/);
  t.end();
});

t.test('whatever a file contains, it is read or refused with lines', (t) => {
  const piece = fc.constantFrom(...'[{: -"*!#~\t\nü'.split(''), '&a ', '*a', '!!x ');
  fc.assert(
    fc.property(fc.nat(FULL.length), piece, fc.nat(3), (at, inserted, dropped) => {
      const problems = problemsOf(FULL.slice(0, at) + inserted + FULL.slice(at + dropped));
      return problems.every((problem) => /^x\.yaml:[1-9]\d*: ./.test(problem));
    }),
    { numRuns: 500 },
  );
  t.end();
});
