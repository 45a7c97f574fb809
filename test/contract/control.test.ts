// SPDX-License-Identifier: Apache-2.0
// The controller against QEMUs that misbehave: what is refused, what is put back, and where the guest ends up.
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { RefusedError } from '../../src/common/index.ts';
import { Journal, pauseGuest } from '../../src/act/index.ts';
import { openEndpoint } from '../../src/control/endpoint.ts';
import {
  migrate,
  type MigrateOptions,
  type Reporter,
  restoreUntilDone,
  silentReporter,
} from '../../src/control/index.ts';
import { createAdaptivePolicy } from '../../src/decide/index.ts';
import type { Action, Objective, Policy } from '../../src/model/index.ts';
import { FakePair, type FakePairOptions, type FakeQemu } from './support/fake-qemu.ts';

const OBJECTIVE: Objective = {
  maxDowntimeMs: 300,
  allowDowntimeMs: null,
  deadlineMs: null,
  postcopy: 'allowed',
};

async function pairFor(t: Test, options: Partial<FakePairOptions> = {}): Promise<FakePair> {
  const pair = await FakePair.start({ hotBytes: 1e6, ...options });
  t.teardown(() => pair.close());
  return pair;
}

function run(
  t: Test,
  pair: FakePair,
  more: Partial<MigrateOptions> = {},
  reporter: Partial<Reporter> = {},
  signal?: AbortSignal,
) {
  const directory = join(t.testdir(), 'journals');
  const options: MigrateOptions = {
    source: pair.source.path,
    destination: pair.destination.path,
    uri: 'tcp:127.0.0.1:4444',
    objective: OBJECTIVE,
    policy: createAdaptivePolicy(),
    mode: 'enforce',
    tracePath: null,
    insecure: false,
    postcopyStallMs: 300,
    linkBytesPerSec: null,
    giveUpMs: null,
    profileMs: 0,
    bandwidthBytesPerSec: null,
    tlsCreds: null,
    tlsHostname: null,
    quitSource: false,
    ...more,
  };
  const outcome = migrate(options, {
    reporter: { ...silentReporter, ...reporter },
    program: null,
    directory,
    ...(signal === undefined ? {} : { signal }),
  });
  return { outcome, directory };
}

function settings(pair: FakePair) {
  return [pair.source, pair.destination].map(({ parameters, capabilities }) => ({
    parameters: { ...parameters },
    capabilities: Object.fromEntries(capabilities),
  }));
}

t.test('a guest that converges completes by pre-copy, and every setting is as before', async (t) => {
  const pair = await pairFor(t);
  const before = settings(pair);
  const { outcome, directory } = run(t, pair);
  const { kind, usedPostcopy } = await outcome;
  t.equal(kind, 'completed');
  t.equal(usedPostcopy, false);
  t.same(settings(pair), before);
  t.notOk(existsSync(directory), 'no journal stays');
});

t.test('a guest that does not completes by post-copy, and every setting is as before', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const before = settings(pair);
  const { kind, usedPostcopy } = await run(t, pair).outcome;
  t.equal(kind, 'completed');
  t.equal(usedPostcopy, true);
  t.same(settings(pair), before);
});

t.test('without post-copy it ends on the source, which is told what would be needed', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const before = settings(pair);
  const { kind, reason } = await run(t, pair, { objective: { ...OBJECTIVE, postcopy: 'forbidden' } }).outcome;
  t.equal(kind, 'source-running');
  t.match(reason, /--allow-downtime/);
  t.equal(pair.source.runStatus, 'running');
  t.same(settings(pair), before);
});

t.test('refusals come before anything is changed, with cause and remedy', async (t) => {
  const cases: [string, Partial<FakePairOptions>, RegExp, (pair: FakePair) => void][] = [
    [
      'TCG on 8.2',
      { source: { kvm: false, version: [8, 2, 2] } },
      /8\.2\.2 loses guest writes/,
      () => undefined,
    ],
    ['other memory', { destination: { ramBytes: 80e6 } }, /of memory/, () => undefined],
    ['other machine', { destination: { machine: 'pc-i440fx-10.0-machine' } }, /i440fx/, () => undefined],
    [
      'same QEMU',
      { destination: { threadId: 11 } },
      /.*/,
      (pair) => (pair.destination.runStatus = 'running'),
    ],
    [
      'not waiting',
      {},
      /waits for a guest, got one that is running/,
      (pair) => (pair.destination.runStatus = 'running'),
    ],
    ['paused source', {}, /does not run \(paused\)/, (pair) => (pair.source.runStatus = 'paused')],
    [
      'already migrating',
      {},
      /under way on the source already/,
      (pair) => (pair.source.migration = 'active'),
    ],
  ];
  for (const [name, options, message, spoil] of cases) {
    const pair = await pairFor(t, options);
    spoil(pair);
    const error = await run(t, pair).outcome.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.type(error, RefusedError, name);
    t.match((error as RefusedError).message, message, name);
    t.ok((error as RefusedError).remedy, name);
    t.same(
      [pair.source.changes, pair.destination.changes],
      [[], []],
      `${name}: nothing was sent that changes`,
    );
  }
});

t.test('a migration address that is none is refused', async (t) => {
  const pair = await pairFor(t);
  for (const uri of ['tcp:host', 'tcp:host:0', 'tcp:host:70000', 'http://x', 'exec:rm -rf /']) {
    await t.rejects(run(t, pair, { uri }).outcome, RefusedError, uri);
  }
});

t.test(
  'post-copy required but not offered is refused; merely wished for, it is done without and said',
  async (t) => {
    const capabilities = ['events', 'return-path'];
    const pair = await pairFor(t, { destination: { capabilities } });
    await t.rejects(run(t, pair, { objective: { ...OBJECTIVE, postcopy: 'required' } }).outcome, {
      message: /post-copy is required, but the destination does not offer it/,
    });
    const notes: string[] = [];
    const { kind } = await run(t, pair, {}, { note: (text) => notes.push(text) }).outcome;
    t.equal(kind, 'completed');
    t.match(notes.join('\n'), /pre-copy only: .* the destination does not offer it/);
  },
);

t.test('a parameter that somebody else changes is theirs: control ends, ours are put back', async (t) => {
  // Long enough a first round for the check that runs each second.
  const pair = await pairFor(t, { hotBytes: 39e6 });
  pair.stalled = true;
  const notes: string[] = [];
  const { outcome } = run(t, pair, {}, { note: (text) => notes.push(text) });
  while (pair.source.migration !== 'active') await delay(5);
  pair.source.parameters['max-bandwidth'] = 55_000_000;
  // The hold is lifted.
  while (pair.source.parameters['downtime-limit'] !== 300) await delay(5);
  pair.stalled = false;
  // Uncontrolled, with 300 ms, this guest does not converge; end it as its owner would.
  await delay(900);
  t.equal(pair.source.migration, 'active');
  t.notOk(pair.source.changes.includes('migrate-start-postcopy'), 'nothing is steered any more');
  pair.source.parameters['downtime-limit'] = 500;
  t.equal((await outcome).kind, 'completed');
  t.match(
    notes.join('\n'),
    /somebody else changed settings \(max-bandwidth is 55000000 instead of 134217728\)/,
  );
  t.equal(pair.source.parameters['max-bandwidth'], 55_000_000);
});

t.test('a QEMU that says yes and does nothing is noticed, and only watched from then on', async (t) => {
  const pair = await pairFor(t);
  pair.source.server.handle('migrate-set-parameters', () => ({}));
  await t.rejects(run(t, pair).outcome, { code: 'ERR_SETTING_NOT_TAKEN' });
  t.equal(pair.source.runStatus, 'running');
  t.equal(pair.source.migration, 'none', 'the migration was not begun');
});

t.test('a destination that dies in pre-copy leaves the guest running on the source', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const before = settings(pair)[0];
  const { outcome } = run(t, pair);
  while (pair.source.migration !== 'active') await delay(5);
  await pair.killDestination();
  const { kind, reason } = await outcome;
  t.equal(kind, 'source-running');
  t.match(reason, /destination: its QEMU has ended/);
  t.same(settings(pair)[0], before);
});

t.test('a destination that dies in post-copy has taken the guest with it', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const { outcome } = run(t, pair, { postcopyStallMs: 60_000 });
  while (pair.source.migration !== 'postcopy-active') await delay(5);
  await pair.killDestination();
  t.equal((await outcome).kind, 'lost');
});

t.test('a source that dies as post-copy begins has taken the guest with it', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  // Dead before it is asked again; and the destination's main loop waits for a page that nobody has any more.
  const never = (): Promise<never> => new Promise(() => undefined);
  const isOver = (): boolean => pair.source.migration === 'postcopy-active';
  for (const { server } of [pair.source, pair.destination]) {
    server.handle('query-migrate', () => (isOver() ? never() : pair.source.queryMigrate()));
  }
  pair.destination.server.handle('query-status', () =>
    isOver() ? never() : { status: 'inmigrate', running: false },
  );
  const { outcome } = run(t, pair);
  while (pair.source.migration !== 'postcopy-active') await delay(5);
  await pair.source.server.close();
  const { kind, usedPostcopy } = await outcome;
  t.equal(kind, 'lost');
  t.equal(usedPostcopy, true);
});

t.test(
  'a post-copy in which nothing moves is paused out of band, and the recovering command is given',
  async (t) => {
    const pair = await pairFor(t, { hotBytes: 39e6 });
    const { outcome } = run(t, pair);
    while (pair.source.migration !== 'postcopy-active') await delay(5);
    pair.stalled = true;
    const { kind, command } = await outcome;
    t.equal(kind, 'postcopy-paused');
    t.match(command, /^slackwater recover --qmp .* --dest-qmp .* --to tcp:127\.0\.0\.1:4444$/);
    const pauses = (end: FakeQemu) =>
      end.server.received.flatMap(({ name, oob }) =>
        ['migrate-pause', 'yank'].includes(name) ? [`${name}${oob ? ', out of band' : ''}`] : [],
      );
    t.same(pauses(pair.destination), ['migrate-pause, out of band']);
    t.same(pauses(pair.source), ['migrate-pause, out of band', 'yank, out of band']);
  },
);

t.test('an interrupt cancels in pre-copy, and does not in post-copy', async (t) => {
  const early = await pairFor(t, { hotBytes: 39e6 });
  const stop = new AbortController();
  const first = run(t, early, {}, {}, stop.signal);
  while (early.source.migration !== 'active') await delay(5);
  stop.abort();
  const outcome = await first.outcome;
  t.equal(outcome.kind, 'source-running');
  t.equal(outcome.interrupted, true);

  const late = await pairFor(t, { hotBytes: 39e6 });
  const stopLate = new AbortController();
  const second = run(t, late, {}, {}, stopLate.signal);
  while (late.source.migration !== 'postcopy-active') await delay(5);
  stopLate.abort();
  t.equal((await second.outcome).kind, 'completed');
});

t.test('in observe mode nothing that a policy wants is carried out', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const wanted: string[] = [];
  const { outcome } = run(
    t,
    pair,
    { mode: 'observe', giveUpMs: 2000 },
    { decision: (action, carriedOut) => !carriedOut && wanted.push(action.kind) },
  );
  t.equal((await outcome).kind, 'source-running');
  t.ok(wanted.includes('set-parameters'), 'it says what it would do');
  t.notOk(pair.source.changes.includes('migrate-set-parameters'));
});

t.test('in advise mode only what is confirmed happens, but giving back needs no leave', async (t) => {
  const pair = await pairFor(t, { hotBytes: 39e6 });
  const asked: string[] = [];
  const { outcome } = run(
    t,
    pair,
    // Quiet at any price, so that there is something to give back.
    { mode: 'advise', policy: createAdaptivePolicy('quiet', { quietTmtRatio: 1, quietMinMs: 1 }) },
    {
      confirm: (action) => {
        asked.push(action.kind === 'set-parameters' ? JSON.stringify(action.change) : action.kind);
        return Promise.resolve(true);
      },
    },
  );
  t.equal((await outcome).kind, 'completed');
  t.same(asked, ['{"downtimeLimitMs":1}', '{"maxPostcopyBandwidthBytesPerSec":1000000}', 'start-postcopy']);
  t.equal(pair.source.parameters['max-postcopy-bandwidth'], 0);
});

/** Stops the guest once round 3 has come, then does `then`. */
function pausing(then: 'nothing' | 'cancel'): Policy<boolean> {
  const reason = { text: 'as a peer would', numbers: {} };
  return {
    name: 'pausing',
    capabilities: [],
    init: () => ({
      state: false,
      actions: [{ kind: 'set-parameters', change: { downtimeLimitMs: 1 }, reason }],
      wakeAtMs: null,
    }),
    step: (done, input) => {
      const isDue = !done && input.kind === 'observation' && input.observation.round >= 3;
      const actions: Action[] = !isDue
        ? []
        : then === 'cancel'
          ? [
              { kind: 'pause-guest', reason },
              { kind: 'cancel', reason },
            ]
          : [{ kind: 'pause-guest', reason }];
      return { state: done || isDue, actions, wakeAtMs: null };
    },
  };
}

t.test('a guest that a policy paused runs again where the migration ends', async (t) => {
  const arriving = await pairFor(t, { hotBytes: 39e6 });
  const arrived = run(t, arriving, { policy: pausing('nothing') });
  t.equal((await arrived.outcome).kind, 'completed');
  t.equal(arriving.destination.runStatus, 'running');
  t.notOk(existsSync(arrived.directory), 'nothing is left to undo');

  const staying = await pairFor(t, { hotBytes: 39e6 });
  const stayed = run(t, staying, { policy: pausing('cancel') });
  t.equal((await stayed.outcome).kind, 'source-running');
  t.equal(staying.source.runStatus, 'running');
  t.notOk(existsSync(stayed.directory));
});

t.test('a guest that a killed controller had paused is resumed, on whichever side it is', async (t) => {
  const base = t.testdir();
  for (const handedOver of [false, true]) {
    const pair = await pairFor(t);
    const directory = join(base, `journals-${String(handedOver)}`);
    const ends = await Promise.all([
      openEndpoint('source', pair.source.path, { insecure: false }),
      openEndpoint('destination', pair.destination.path, { insecure: false }),
    ]);
    const journal = Journal.create(
      directory,
      ends.map(({ instance }) => instance),
      false,
    );
    await pauseGuest(ends[0].client, journal);
    journal.close();
    for (const { client } of ends) await client.close();
    if (handedOver) {
      pair.source.runStatus = 'postmigrate';
      pair.source.migration = 'completed';
      pair.destination.runStatus = 'paused';
      pair.destination.migration = 'completed';
    }
    await restoreUntilDone(journal.path);
    t.equal(pair.source.runStatus, handedOver ? 'postmigrate' : 'running');
    t.equal(pair.destination.runStatus, handedOver ? 'running' : 'inmigrate');
    t.notOk(existsSync(directory), 'nothing is left to undo');
  }
});
