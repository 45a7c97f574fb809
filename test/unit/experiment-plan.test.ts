// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import t from 'tap';
import { GIB, MIB, UsageError } from '../../src/common/index.ts';
import {
  bestSetting,
  cellIsHopeless,
  DEFAULT_ATTEMPTS,
  estimateMs,
  ExperimentError,
  expandExperiment,
  filterRuns,
  latestAttempts,
  MAX_FAILED_ATTEMPTS,
  nextRun,
  parseExperiment,
  parseRunRecords,
  type PlannedRun,
  runKey,
  type RunRecord,
  runStates,
  searchedSettings,
  scaledTimeFactor,
} from '../../src/experiment/index.ts';
import {
  CAPPED,
  controlEvery,
  DISTURBED,
  experiment,
  FAILED,
  FULL,
  oracle,
  policies,
  record,
} from './support/experiments.ts';

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
t.test('runs go block by block, and the order of policies turns round with each repeat', (t) => {
  const plan = expandExperiment(experiment({ policies: policies('a', 'b', 'c'), repeats: 3 }));
  const order = plan.map(({ policy, repeat }) => `${policy.name}${repeat}`).join(' ');
  t.match(order, /^(a0 b0 c0 c1 b1 a1 a2 b2 c2 ?){4}$/);
  t.match(plan[9], { key: 'hot-64m/112mbit/a/0' });
  t.match(plan[4], { kind: 'cell', cell: 'hot-64m/lan-1g/b', repeat: 1, seed: 8 });
  t.end();
});

t.test(
  "the oracle's search comes before the runs of its block, and picks by medians within the limit",
  (t) => {
    const plan = expandExperiment(
      experiment({ policies: [...policies('a'), oracle()], links: ['lan-1g'], repeats: 1 }),
      ['x', 'y'],
    );
    const first = plan.filter(({ guest }) => guest.name === 'hot-64m');
    t.same(
      first.map(({ key }) => key.replace('hot-64m/lan-1g/', '')),
      ['oracle@x/0', 'oracle@y/0', 'oracle@y/1', 'oracle@x/1', 'oracle@x/2', 'oracle@y/2', 'a/0', 'oracle/0'],
    );
    t.same(
      filterRuns(plan, ['guest=hot-64m,policy=oracle']).length,
      7,
      'its own run brings its search along',
    );
    const found = (x: object, y: object) => {
      const records = first
        .filter(({ kind }) => kind === 'search')
        .map((run) => record(run, 0, run.policy.name.endsWith('x') ? x : y));
      return bestSetting(searchedSettings(records, 'hot-64m', 'lan-1g'), 300);
    };
    const of = (tmtMs: number, downtimeGuestMs: number) => ({ tmtMs, downtimeGuestMs });
    t.equal(found(of(2000, 250), of(1800, 280)), 'y', 'the faster');
    t.equal(found(of(2000, 250), of(1800, 700)), 'x', 'the one within the limit');
    t.equal(found(of(2000, 650), of(1800, 700)), 'x', 'the quieter, where none is');
    t.equal(
      found(of(2000, 250), { ...of(1800, 200), coherent: false }),
      'x',
      'a guest that is not whole does not count',
    );
    t.equal(found({ outcome: 'source-running' }, { outcome: 'source-running' }), null);
    t.end();
  },
);

t.test('the repeats are spread over a range of settling, alike for all policies', (t) => {
  const guests = experiment().guests.slice(0, 1);
  const one = experiment({
    guests,
    links: ['lan-1g'],
    policies: policies('a', 'b'),
    repeats: 4,
    settleMs: 2000,
    settleToMs: 14_000,
  });
  const settled = (name: string): number[] =>
    expandExperiment(one)
      .filter(({ policy }) => policy.name === name)
      .map(({ settleMs }) => settleMs);
  t.same(settled('a'), [3500, 6500, 9500, 12_500]);
  t.same(settled('b'), settled('a'));
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
  const one = {
    guests: experiment().guests.slice(0, 1),
    links: ['lan-1g'],
    settleMs: 2000,
    settleToMs: 2000,
  };
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
  for (let turns = 0; turns <= plan.length * DEFAULT_ATTEMPTS; turns++) {
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
        const isGivenUp = bad.length === DEFAULT_ATTEMPTS || failed === MAX_FAILED_ATTEMPTS;
        const good = attempts.length - bad.length;
        const isDone = isGivenUp ? good === 0 : good === 1 && attempts.at(-1) !== bad.at(-1);
        return state === (isDone ? 'done' : 'hopeless') && (isDone || good === 0);
      });
    }),
    { numRuns: 50 },
  );
  t.equal(carryOut(SMALL_PLAN, () => DISTURBED).length, SMALL_PLAN.length * DEFAULT_ATTEMPTS);
  t.equal(carryOut(SMALL_PLAN, () => FAILED).length, SMALL_PLAN.length * MAX_FAILED_ATTEMPTS);
  t.end();
});

t.test('an experiment says how often a disturbed run is repeated', (t) => {
  const [run] = SMALL_PLAN;
  const tried = (maxAttempts: number, ...changes: object[]) => {
    const records = changes.map((each, attempt) => record(run!, attempt, each));
    return runStates([run!], records, maxAttempts)[0]?.state;
  };
  t.equal(tried(1, DISTURBED), 'done');
  t.equal(tried(1, FAILED), 'open', 'what could not be carried out is tried again all the same');
  t.equal(tried(1, FAILED, DISTURBED), 'done');
  t.equal(tried(4, DISTURBED, DISTURBED, DISTURBED), 'open');
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
