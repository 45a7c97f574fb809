// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import { GIB, MIB, UsageError } from '../../src/common/index.ts';
import {
  cellIsHopeless,
  estimateMs,
  type Experiment,
  ExperimentError,
  expandExperiment,
  filterRuns,
  latestAttempts,
  MAX_ATTEMPTS,
  MAX_FAILED_ATTEMPTS,
  nextRun,
  parseExperiment,
  parseRunRecords,
  type PlannedRun,
  runKey,
  type RunRecord,
  runStates,
  scaledTimeFactor,
} from '../../src/experiment/index.ts';

const FULL = `# who finishes
schema: slackwater/experiment@1
name: convergence
title: Who finishes
about: |
  How soon, and what the clients see.
guests:
  - name: hot-64m
    memory: 512MiB
    workload: steady-64m
  - { name: wide, memory: 2GiB, vcpus: 2, workload: zipf }
links: [lan-1g, 112mbit]
policies:
  - adaptive
  - nova@scaled
  - ./policies/mine.mjs
  - name: adaptive-precopy
    policy: adaptive
    objective: { postcopy: forbidden, deadline: null }
objective: { max-downtime: 300ms, allow-downtime: 800ms, deadline: 60s }
bandwidth: 16gbit
repeats: 5
cap: 120s
settle: 1.5s
seed: 7
control: { every: 20, policy: nova }
hosts:
  source: { ssh: host1, nic: eth1, address: 10.0.0.1, qemu: /usr/bin/qemu }
  destination: { ssh: root@host2, nic: eth1, address: 'fd00::2', qemu: /opt/qemu }
  client: { ssh: host3 }
`;

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
  t.match(rest, { maxBandwidthBytesPerSec: 2e9, repeats: 5, capMs: 120_000, settleMs: 1500 });
  t.same(objective, { maxDowntimeMs: 300, allowDowntimeMs: 800, deadlineMs: 60_000, postcopy: 'allowed' });
  t.same(guests, [
    { name: 'hot-64m', memoryBytes: 512 * MIB, vcpus: 1, workload: 'steady-64m' },
    { name: 'wide', memoryBytes: 2 * GIB, vcpus: 2, workload: 'zipf' },
  ]);
  const named = (id: string, scaled = false) => ({ kind: 'named', id, scaled });
  const precopy = { ...objective, deadlineMs: null, postcopy: 'forbidden' };
  t.same(policies, [
    { name: 'adaptive', source: named('adaptive'), objective },
    { name: 'nova@scaled', source: named('nova', true), objective },
    { name: 'mine', source: { kind: 'file', path: './policies/mine.mjs' }, objective },
    { name: 'adaptive-precopy', source: named('adaptive'), objective: precopy },
  ]);
  t.same(control, { everyRuns: 20, policy: { name: 'nova', source: named('nova'), objective } });
  t.same(hosts, {
    source: { ssh: 'host1', nic: 'eth1', address: '10.0.0.1', qemu: '/usr/bin/qemu' },
    destination: { ssh: 'root@host2', nic: 'eth1', address: 'fd00::2', qemu: '/opt/qemu' },
    client: { ssh: 'host3' },
  });
  t.end();
});

t.test('what a file leaves out has defaults', (t) => {
  const { objective, guests, control, ...rest } = parseExperiment(SMALL, 'small.yaml');
  t.same(objective, { maxDowntimeMs: 300, allowDowntimeMs: null, deadlineMs: null, postcopy: 'allowed' });
  t.match(rest, { about: null, maxBandwidthBytesPerSec: null, settleMs: 2000, seed: 1, hosts: null });
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
guests: [{ name: g, memory: 1GiB, workload: ../w }] => 8: guests[0].workload: expected a name of a-z, 0-9 and - (at most 60), got "../w"
guests: [{ name: idle, memory: 1GiB, workload: w }] => 8: guests[0].name: expected a name other than "idle", which is that of the control runs' guest
objective: { max-downtime: 0ms } => 9: objective.max-downtime: expected a duration of 1ms to 2000s, such as 300ms or 60s, got "0ms"
objective: { max_downtime: 1s } => 9: objective.max_downtime: unknown key; did you mean max-downtime?
objective: { allow-downtime: 200ms } => 9: objective.allow-downtime: expected an allow-downtime no lower than max-downtime (300 ms), got 200 ms
capp: 3s => 9: capp: unknown key; did you mean cap?
control: { rate: 3 } => 9: control.rate: unknown key; expected one of every, policy
bandwidth: *fast => 9: bandwidth: there is no anchor &fast
`;

t.test('a problem is told with file, line, key, what was wanted and what was got', (t) => {
  const [maybe] = problemsOf(FULL.replace('postcopy: forbidden', 'postcopy: maybe'));
  t.match(maybe, /^x\.yaml:19: policies\[3\]\.objective\.postcopy: expected allowed, .* got "maybe"$/);
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

function experiment(changes: Partial<Experiment> = {}): Experiment {
  return { ...parseExperiment(FULL, 'x.yaml'), control: null, hosts: null, ...changes };
}

function policies(...names: string[]): Experiment['policies'] {
  const { objective } = experiment();
  return names.map((name) => ({ name, source: { kind: 'named', id: name, scaled: false }, objective }));
}

function controlEvery(everyRuns: number): Experiment['control'] {
  return { everyRuns, policy: policies('qemu-default')[0]! };
}

t.test('runs go block by block, and the order of policies turns round with each repeat', (t) => {
  const plan = expandExperiment(experiment({ policies: policies('a', 'b', 'c'), repeats: 3 }));
  const order = plan.map(({ policy, repeat }) => `${policy.name}${repeat}`).join(' ');
  t.match(order, /^(a0 b0 c0 c1 b1 a1 a2 b2 c2 ?){4}$/);
  t.match(plan[9], { key: 'hot-64m/112mbit/a/0' });
  t.match(plan[4], { kind: 'cell', cell: 'hot-64m/lan-1g/b', repeat: 1, seed: 8 });
  t.end();
});

t.test('control runs of an idle guest stand before the first run and after every N', (t) => {
  const two = experiment({ policies: policies('a', 'b'), repeats: 2 });
  const plan = expandExperiment({ ...two, control: controlEvery(3) });
  const order = plan.map(({ kind, repeat }) => (kind === 'control' ? repeat : '.')).join('');
  t.equal(order, '0...1...2...3...4...5.');
  t.match(plan[4], { key: 'idle/lan-1g/qemu-default/1', guest: { memoryBytes: 512 * MIB }, seed: 7 });
  t.end();
});

t.test('keys and directory names of a plan are unique, and fit for a file system', (t) => {
  const links = ['lan-1g', '1gbit', '1.5 gbit', '64MiB/s', '64MB/s'];
  const plan = expandExperiment({ ...parseExperiment(FULL, 'x.yaml'), links });
  t.equal(new Set(plan.map(({ key }) => key)).size, plan.length);
  t.equal(new Set(plan.map(({ slug }) => slug)).size, plan.length);
  t.ok(plan.every(({ slug }) => /^[a-z0-9][a-z0-9._-]*$/.test(slug)));
  t.ok(plan.some(({ slug }) => slug === 'hot-64m_64mib_nova.scaled_3'));
  t.end();
});

t.test('filters choose runs by key and pattern', (t) => {
  const plan = expandExperiment(experiment({ control: controlEvery(5) }));
  const chosen = (...texts: string[]) => filterRuns(plan, texts);
  t.equal(chosen().length, plan.length);
  const cells = chosen('guest=hot-64m,policy=adaptive,kind=cell');
  t.equal(cells.length, 2 * 5);
  t.ok(cells.every(({ cell }) => /^hot-64m\/.*\/adaptive$/.test(cell)));
  t.equal(chosen('policy=adapt*,kind=cell').length, 2 * 2 * 2 * 5);
  t.equal(chosen('policy=mine,policy=adaptive,link=lan-1g,repeat=0,kind=cell').length, 2 * 2);
  t.equal(chosen('guest=wide,kind=cell', 'repeat=0,kind=cell').length, 2 * 4 * 5 + 2 * 4);
  t.ok(chosen('kind=control').every(({ kind }) => kind === 'control'));
  const beside = chosen('guest=hot-64m,link=lan-1g,policy=adaptive,repeat=0').map(({ slug }) => slug);
  t.same(beside, ['idle_lan-1g_qemu-default_0', 'hot-64m_lan-1g_adaptive_0', 'idle_lan-1g_qemu-default_1']);
  for (const [text, message, remedy] of [
    ['policy=nova', /no run .* fits "policy=nova"/, /no policy nova; there are: .*nova@scaled/],
    ['guest=wide,guest=hot*,repeat=9', /no run/, /no repeat 9; there are: 0, 1/],
    ['polcy=adaptive', /expected KEY=PATTERN/, /did you mean policy/],
    ['adaptive', /expected KEY=PATTERN/, /keys: guest, link/],
    ['policy=', /expected KEY=PATTERN/, /keys/],
    ['policy=a.*', /no run/, /there is no policy a\.\*/],
  ] as const) {
    t.throws(() => chosen('guest=wide', text), UsageError, text);
    t.throws(() => chosen(text), { message, remedy }, text);
  }
  t.end();
});

t.test('the estimate is bounded by what is over soonest and what takes longest', (t) => {
  const options = { floorMs: () => 40_000, bootMs: 10_000, afterMs: 2000 };
  const one = { guests: experiment().guests.slice(0, 1), links: ['lan-1g'], settleMs: 2000 };
  const nova = experiment({ ...one, policies: policies('nova') });
  t.same(estimateMs(nova, options), { lowerMs: 268_000, upperMs: 670_000 });
  const adaptive = experiment({ ...one, policies: policies('adaptive') });
  t.same(estimateMs(adaptive, options), { lowerMs: 270_000, upperMs: 670_000 });
  t.equal(estimateMs({ ...adaptive, control: controlEvery(5) }, options).lowerMs, 270_000 + 2 * 54_000);
  const part = filterRuns(expandExperiment(adaptive), ['repeat=0']);
  t.equal(estimateMs(adaptive, options, part).lowerMs, 54_000);
  for (let floorMs = 0; floorMs < 300_000; floorMs += 7000) {
    const { lowerMs, upperMs } = estimateMs(nova, { floorMs: () => floorMs, bootMs: 0 });
    t.ok(lowerMs <= upperMs && upperMs <= 5 * (4000 + nova.capMs));
  }
  t.end();
});

const RECORD = `{"schema":"slackwater/run@1","kind":"cell","guest":"","link":"","policy":"","repeat":0,"attempt":0,
"startedAt":"2026-01-02T03:04:05.678Z","outcome":"completed","reason":"","capped":false,"tmtMs":5000,
"downtimeQemuMs":1,"downtimeStopToResumeMs":29.5,"downtimeGuestMs":300,"downtimeGuestAtLeastMs":298,
"downtimeForecastMs":null,"transferredBytes":5e8,"rounds":2,"usedPostcopy":true,"floorBytes":4e8,"floorMs":3600,
"workPerSec":{"before":100,"during":80,"after":null},"app":{"name":"redis","before":{"requestsPerSec":1,"p50Ms":1,
"p99Ms":2,"errors":0},"during":null,"after":null},"coherent":true,"lostPages":0,"lostBlocks":null,"disturbances":[],
"stealRatio":0.001,"proberGapMs":2,"files":{"trace":"runs/x/trace","series":null,"logs":["a.log"]}}`;

function record(run: PlannedRun, attempt: number, changes: object = {}): RunRecord {
  const { kind, link, repeat } = run;
  const names = { kind, guest: run.guest.name, link, policy: run.policy.name, repeat, attempt };
  return { ...(JSON.parse(RECORD) as RunRecord), ...names, ...changes };
}

const CAPPED = { outcome: 'source-running', capped: true, tmtMs: null };
const DISTURBED = { disturbances: ['steal'] };
const FAILED = { outcome: 'failed', reason: 'the guest did not boot' };

t.test('a cell is hopeless when its first two runs both hit the cap', (t) => {
  const runs = expandExperiment(experiment({ policies: policies('a') })).slice(0, 5);
  const records = (...changes: object[]) => changes.map((each, i) => record(runs[i]!, 0, each));
  const [first, second, third] = records(CAPPED, CAPPED, CAPPED) as [RunRecord, RunRecord, RunRecord];
  const disturbed = record(runs[1]!, 0, { ...CAPPED, ...DISTURBED });
  const failed = [0, 1].map((attempt) => record(runs[1]!, attempt, FAILED));
  t.notOk(cellIsHopeless([first]));
  t.ok(cellIsHopeless([second, first]));
  t.notOk(cellIsHopeless(records({}, CAPPED, CAPPED)));
  t.ok(cellIsHopeless(records(CAPPED, CAPPED, {}).reverse()), 'a later run changes nothing');
  t.notOk(cellIsHopeless([first, disturbed]), 'it is to be tried again');
  t.ok(cellIsHopeless([first, disturbed, { ...second, attempt: 1 }]));
  t.notOk(cellIsHopeless([first, ...failed]));
  t.ok(cellIsHopeless([first, ...failed, third]));
  t.end();
});

t.test('of a run the first undisturbed attempt counts, else the last that was carried out', (t) => {
  const [run] = expandExperiment(experiment());
  const counting = (...changes: object[]) =>
    latestAttempts(changes.map((each, attempt) => record(run!, attempt, each))).map(({ attempt }) => attempt);
  t.same(counting(), []);
  t.same(counting(DISTURBED, {}, {}), [1]);
  t.same(counting(DISTURBED, DISTURBED), [1]);
  t.same(counting(DISTURBED, FAILED), [0]);
  t.same(counting(FAILED, FAILED), [1]);
  t.same(counting(FAILED, {}), [1]);
  t.end();
});

/** Carries a plan out: `happens` says what an attempt gives. Every record passes through the file's text. */
function carryOut(plan: readonly PlannedRun[], happens: (run: PlannedRun) => object): RunRecord[] {
  let text = '';
  for (let turns = 0; turns <= plan.length * MAX_ATTEMPTS; turns++) {
    const next = nextRun(plan, parseRunRecords(text));
    if (next === null) return parseRunRecords(text);
    text += `${JSON.stringify(record(next.run, next.attempt, happens(next.run)))}\n`;
  }
  throw new Error('it does not end');
}

const ONE_GUEST = experiment({ guests: experiment().guests.slice(0, 1), policies: policies('a', 'b', 'c') });
const SMALL_PLAN = expandExperiment({ ...ONE_GUEST, repeats: 4, control: controlEvery(5) });

t.test('without disturbances each run is carried out once, except the rest of hopeless cells', (t) => {
  fc.assert(
    fc.property(fc.subarray(SMALL_PLAN.map(({ key }) => key)), (cappedKeys) => {
      const capped = new Set(cappedKeys);
      const records = carryOut(SMALL_PLAN, ({ key }) => (capped.has(key) ? CAPPED : {}));
      const isHopeless = ({ kind, cell, repeat }: PlannedRun) =>
        kind === 'cell' && repeat > 1 && capped.has(`${cell}/0`) && capped.has(`${cell}/1`);
      const expected = SMALL_PLAN.filter((run) => !isHopeless(run)).map(({ key }) => key);
      t.same(records.map(runKey), expected);
      const states = runStates(SMALL_PLAN, records);
      return states.every(({ run, state }) => state === (isHopeless(run) ? 'hopeless' : 'done'));
    }),
    { numRuns: 50 },
  );
  t.end();
});

t.test('disturbed and failed attempts are repeated a few times, and then it goes on', (t) => {
  const happening = fc.constantFrom<object>({}, {}, CAPPED, DISTURBED, FAILED);
  fc.assert(
    fc.property(fc.array(happening, { minLength: 1, maxLength: 40 }), (happenings) => {
      let turn = 0;
      const records = carryOut(SMALL_PLAN, () => happenings[turn++ % happenings.length]!);
      return runStates(SMALL_PLAN, records).every(({ state, attempts }) => {
        const failed = attempts.filter(({ outcome }) => outcome === 'failed').length;
        const bad = attempts.filter((each) => each.outcome === 'failed' || each.disturbances.length > 0);
        const isGivenUp = bad.length === MAX_ATTEMPTS || failed === MAX_FAILED_ATTEMPTS;
        const good = attempts.length - bad.length;
        const isDone = isGivenUp ? good === 0 : good === 1 && attempts.at(-1) !== bad.at(-1);
        return state === (isDone ? 'done' : 'hopeless') && (isDone || good === 0);
      });
    }),
    { numRuns: 50 },
  );
  t.equal(carryOut(SMALL_PLAN, () => DISTURBED).length, SMALL_PLAN.length * MAX_ATTEMPTS);
  t.equal(carryOut(SMALL_PLAN, () => FAILED).length, SMALL_PLAN.length * MAX_FAILED_ATTEMPTS);
  t.end();
});

t.test('a part of a plan can be carried out first, and the whole goes on from there', (t) => {
  const part = filterRuns(SMALL_PLAN, ['policy=b,link=112mbit']);
  const first = carryOut(part, () => ({}));
  t.equal(nextRun(part, first), null);
  const rest = SMALL_PLAN.filter(({ key }) => !first.map(runKey).includes(key));
  t.equal(nextRun(SMALL_PLAN, first)?.run, rest[0]);
  t.end();
});

t.test('times of peers are scaled by how long the memory takes over the link', (t) => {
  t.equal(scaledTimeFactor({ memoryBytes: 8 * GIB, linkBytesPerSec: 112e6 }).toFixed(2), '1.00');
  t.equal(scaledTimeFactor({ memoryBytes: 512 * MIB, linkBytesPerSec: 14e6 }).toFixed(3), '0.498');
  t.end();
});

t.test('records are read back; a half-written last line is passed over', (t) => {
  const records = SMALL_PLAN.slice(0, 3).map((run, attempt) => record(run, attempt));
  const lines = records.map((each) => JSON.stringify(each));
  t.same(parseRunRecords(''), []);
  t.same(parseRunRecords(`${lines.join('\n')}\n`), records);
  t.same(parseRunRecords(lines.join('\n')), records, 'the last line feed alone may be missing');
  for (let length = 0; length < lines[2]!.length; length++) {
    const text = `${lines[0]!}\n${lines[1]!}\n${lines[2]!.slice(0, length)}`;
    if (parseRunRecords(text).length !== 2) t.fail(text);
  }
  t.end();
});

t.test('any other line that is not a record is refused with its number', (t) => {
  const good = JSON.stringify(record(SMALL_PLAN[0]!, 0));
  const changed = (changes: object) => JSON.stringify(record(SMALL_PLAN[0]!, 0, changes));
  const wrong = [{ schema: 'slackwater/run@2' }, { workPerSec: { before: 1, during: null } }];
  const app = { name: 'redis', before: { requestsPerSec: 1 }, during: null, after: null };
  const some = [{ tmtMs: 'soon' }, {}, ...wrong, { app }, { addedLater: true }].map(changed);
  const text = [good.slice(0, 40), ...some, '[]', '{"schema"\n'].join('\n');
  const lines = errorOf(() => parseRunRecords(text)).message.split('\n');
  t.match(lines.shift(), /^runs\.jsonl:1: expected a record as JSON: /);
  t.match(lines.pop(), /^runs\.jsonl:9: expected a record as JSON: /);
  t.same(lines, [
    'runs.jsonl:2: tmtMs: expected a number, got "soon"',
    'runs.jsonl:4: schema: expected slackwater/run@1, got "slackwater/run@2"',
    'runs.jsonl:5: workPerSec.after: expected a number, got nothing',
    'runs.jsonl:6: app.before.p50Ms: expected a number, got nothing',
    'runs.jsonl:8: schema: expected slackwater/run@1, got nothing',
  ]);
  t.end();
});
