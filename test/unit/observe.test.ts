// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import type { PageSummary } from '../../src/model/index.ts';
import {
  foldPass,
  foldReading,
  initObserve,
  isFinal,
  readMigrationInfo,
  samplesPerGib,
  type QueryMigrateReply,
} from '../../src/observe/index.ts';
import { pages } from './support/pages.ts';

function reading(atMs: number, reply: QueryMigrateReply, switchoverBytesPerSec: number | null = null) {
  return {
    info: readMigrationInfo(reply),
    atMs,
    dirtySamples: [],
    pages: null,
    showsPages: false,
    destinationResumed: null,
    switchoverBytesPerSec,
  };
}

function active(transferred: number, remaining: number, round: number, more: object = {}): QueryMigrateReply {
  return {
    status: 'active',
    ram: { transferred, remaining, total: 512e6, 'dirty-sync-count': round, 'page-size': 4096, ...more },
  };
}

t.test('a reply is read in units, and what QEMU did not say is null, not zero', (t) => {
  const info = readMigrationInfo({ status: 'active', ram: { duplicate: 10, mbps: 800 } });
  t.equal(info.zeroBytes, 40_960);
  t.equal(info.lastWindowBytesPerSec, 100e6);
  t.equal(info.remainingBytes, null);
  t.equal(info.downtimeMs, null);
  t.equal(readMigrationInfo({}).status, 'none');
  t.end();
});

t.test('a completed reply without figures is not final', (t) => {
  t.equal(isFinal(readMigrationInfo({ status: 'completed', 'total-time': 0, downtime: 0 })), false);
  t.equal(isFinal(readMigrationInfo({ status: 'completed', 'total-time': 5000, downtime: 3 })), true);
  t.equal(isFinal(readMigrationInfo({ status: 'active' })), true);
  t.end();
});

t.test('a round boundary carries how long the round took and what was dirty when it ended', (t) => {
  let state = initObserve(0);
  state = foldPass(state, 1, 10);
  state = foldReading(state, reading(500, active(50e6, 400e6, 1))).state;
  state = foldReading(state, reading(1000, active(100e6, 350e6, 1))).state;
  state = foldPass(state, 2, 1500);
  const { observation } = foldReading(state, reading(1510, active(151e6, 63e6, 2)));
  t.equal(observation.kind, 'round');
  t.equal(observation.endedRoundMs, 1490);
  // 10 ms at 100 MB/s were sent between the sync and the reply.
  t.equal(observation.dirtyAtRoundStartBytes?.toFixed(0), '64000000');
  t.equal(observation.bandwidthBytesPerSec?.toFixed(0), '100000000');
  t.end();
});

t.test('what a round has left unsent is told from what was written in it', (t) => {
  const reply = (sent: number, remaining: number, round: number) =>
    active(sent, remaining, round, { 'normal-bytes': sent, duplicate: 0 });
  let state = foldPass(initObserve(0), 1, 10);
  state = foldReading(state, reading(500, reply(50e6, 462e6, 1))).state;
  state = foldReading(state, reading(4790, reply(479e6, 33e6, 1))).state;
  state = foldPass(state, 2, 4840);
  const { observation } = foldReading(state, reading(4850, reply(485e6, 57e6, 2)));
  // 5 MB went from the last look to the end of the round, 1 MB after it.
  t.equal(observation.unsentBytes?.toFixed(0), '28000000');
  t.equal(observation.dirtyAtRoundStartBytes?.toFixed(0), '58000000');
  t.end();
});

t.test('rounds that were missed have no duration', (t) => {
  let state = foldReading(initObserve(0), reading(100, active(10e6, 100e6, 2))).state;
  const { observation } = foldReading(state, reading(600, active(60e6, 5e6, 5)));
  t.equal(observation.kind, 'round');
  t.equal(observation.endedRoundMs, null);
  state = foldPass(foldPass(state, 4, 550), 5, 590);
  t.equal(foldReading(state, reading(600, active(60e6, 5e6, 5))).observation.endedRoundMs, 40);
  t.end();
});

t.test('the dirty set is read race-free once QEMU has renewed its figures', (t) => {
  let state = foldPass(initObserve(0), 2, 1000);
  state = foldReading(state, reading(1005, active(100e6, 60e6, 2))).state;
  const reply = { ...active(130e6, 30e6, 2, { mbps: 268.57 }), 'expected-downtime': 3123 };
  const early = foldReading(state, reading(1100, reply)).observation;
  t.equal(early.dirtyAtRoundStartBytes, null, 'may still speak of the round before');
  const { observation, state: after } = foldReading(state, reading(1300, reply));
  t.equal(((observation.dirtyAtRoundStartBytes ?? 0) / 1e6).toFixed(1), '104.8');
  t.equal(foldReading(after, reading(1400, reply)).observation.dirtyAtRoundStartBytes, null, 'once a round');
  const told = foldReading(state, reading(1300, reply, 100e6)).observation;
  t.equal(told.dirtyAtRoundStartBytes?.toFixed(0), '312300000', 'divides by what QEMU divided by');
  t.end();
});

t.test('where pages are seen, they tell where a round ends', (t) => {
  let state = foldPass(initObserve(0), 2, 1000);
  const see = (atMs: number, round: number, summary: Partial<PageSummary> | null) => {
    const folded = foldReading(state, {
      ...reading(atMs, { ...active(atMs * 1e5, 60e6, round, { mbps: 800 }), 'expected-downtime': 600 }),
      pages: summary && pages(summary),
      showsPages: true,
    });
    ({ state } = folded);
    return folded.observation;
  };
  t.match(see(1001, 2, null), { kind: 'status', dirtyAtRoundStartBytes: null }, 'its pages are not here yet');
  t.match(see(1002, 2, { endsRound: false }), { kind: 'sample', dirtyAtRoundStartBytes: null });
  t.match(
    see(1300, 2, null),
    { kind: 'sample', dirtyAtRoundStartBytes: null },
    'no figure of QEMU’s instead',
  );
  state = foldPass(state, 3, 1400);
  const whole = see(1402, 3, { endsRound: true, pendingPages: 1000 });
  t.match(whole, { kind: 'round', endedRoundMs: 400, dirtyAtRoundStartBytes: 4_096_000 });
  state = foldPass(state, 4, 1500);
  const deferred = see(1502, 4, { endsRound: true, pendingPages: 1000, deferredPages: 900 });
  t.match(deferred, { kind: 'round', endedRoundMs: 100, dirtyAtRoundStartBytes: null });
  t.end();
});

t.test('running over zero pages does not pass for a slow link', (t) => {
  let state = initObserve(0);
  for (const [atMs, transferred, normal] of [
    [0, 0, 0],
    [500, 50e6, 50e6],
    [1000, 100e6, 100e6],
  ] as const) {
    state = foldReading(state, reading(atMs, active(transferred, 1, 1, { 'normal-bytes': normal }))).state;
  }
  t.equal(state.bandwidthBytesPerSec, 100e6);
  const zero = active(101e6, 1, 1, { 'normal-bytes': 100e6, duplicate: 500_000 });
  t.equal(foldReading(state, reading(3500, zero)).observation.bandwidthBytesPerSec, 100e6);
  t.end();
});

t.test('page sampling stays within what QEMU takes, and bounded for big guests', (t) => {
  t.equal(samplesPerGib(512 * 2 ** 20), 8192);
  t.equal(samplesPerGib(64 * 2 ** 30), 1024);
  t.equal(samplesPerGib(2 ** 40), 512);
  t.end();
});
