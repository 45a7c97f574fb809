// SPDX-License-Identifier: Apache-2.0
// What holds for every peer, whatever the guest: its times may be scaled, late ticks shift nothing, and an end is an end.

import fc from 'fast-check';
import t from 'tap';
import { livesByClock, peerIds } from '../../src/decide/index.ts';
import { MIB, observation } from './support/observation.ts';
import { anyScenario } from './support/peer-arbitrary.ts';
import {
  downtimes,
  drive,
  GIB,
  NO_FORECAST,
  peer,
  peerContext,
  type Scenario,
  type Taken,
} from './support/peer-drive.ts';

t.test('a peer at scale s does the same things at s x the times', (t) => {
  // Sizes do not scale: what is compared with a time of the peer's is far from it. No reading falls on a poll, where the
  // rounding of the scaled times would decide which comes first.
  const scenario = (s: number): Scenario => ({
    context: { memoryBytes: GIB },
    untilMs: 4_000_000 * s,
    roundMs: 4003.7 * s,
    sampleMs: 257.3 * s,
    see: (atMs, round) => ({
      transferredBytes: (MIB * atMs) / s / 20,
      remainingBytes: (64 + (round % 3)) * MIB - Math.round((atMs / s / 250) % 16),
      dirtyAtRoundStartBytes: GIB,
    }),
  });
  for (const id of peerIds().filter((id) => livesByClock(id) && id !== 'pacer-deadline')) {
    const plain = drive(peer(id), scenario(1));
    for (const scale of [0.056, 1 / 18, 3]) {
      const scaled = drive(peer(id, scale), scenario(scale));
      t.same(
        scaled.map(({ action }) => [action.kind, 'change' in action ? action.change : null]),
        plain.map(({ action }) => [action.kind, 'change' in action ? action.change : null]),
        `${id} x ${scale}`,
      );
      const off = scaled.map(({ atMs }, index) => Math.abs(atMs - plain[index]!.atMs * scale));
      t.ok(Math.max(...off) < 1e-3, `${id} x ${scale} in time`);
    }
    t.ok(plain.length > 1, `${id} acts`);
  }
  t.end();
});

t.test('a tick that comes late or early does not shift the polls', (t) => {
  const policy = peer('vdsm-minimal-downtime');
  let { state, wakeAtMs } = policy.init(peerContext());
  t.equal(wakeAtMs, 10_000);
  const see = (nowMs: number, round: number, status = 'active') =>
    policy.step(state, {
      kind: 'observation',
      nowMs,
      observation: observation({ atMs: nowMs, round, kind: 'sample', status }),
      forecast: NO_FORECAST,
    });
  const tick = (nowMs: number) => policy.step(state, { kind: 'tick', nowMs });
  ({ state, wakeAtMs } = see(9000, 3));
  t.equal(wakeAtMs, 10_000);
  ({ state, wakeAtMs } = tick(9999));
  t.equal(wakeAtMs, 10_000, 'too early');
  ({ state, wakeAtMs } = tick(10_007));
  t.equal(wakeAtMs, 20_000);
  ({ state, wakeAtMs } = tick(47_000));
  t.equal(wakeAtMs, 57_000, 'missed polls are not made up for');
  ({ state, wakeAtMs } = see(57_000, 9, 'device'));
  ({ state, wakeAtMs } = tick(57_000));
  t.equal(wakeAtMs, null, 'not active: nothing to do');
  ({ state, wakeAtMs } = see(58_000, 9));
  t.ok(wakeAtMs! <= 58_000, 'due at once when it is again');
  const acted = tick(58_000);
  t.equal(acted.actions.length, 1);
  t.equal(acted.wakeAtMs, 67_000);
  t.end();
});

const ENDS = new Set(['start-postcopy', 'cancel']);

function endOf(taken: readonly Taken[]): number {
  const index = taken.findIndex(({ action }) => ENDS.has(action.kind));
  return index === -1 ? taken.length : index + 1;
}

t.test('any peer survives any guest: no refused downtime, nothing after the end, reasons in words', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...peerIds()), anyScenario, (id, scenario) => {
      const policy = peer(id);
      const taken = drive(policy, scenario);
      const mayGoPostcopy =
        scenario.context?.postcopyReady === true && policy.capabilities?.includes('postcopy-ram') === true;
      return (
        downtimes(taken).every((limit) => Number.isInteger(limit) && limit >= 1 && limit <= 2_000_000) &&
        endOf(taken) === taken.length &&
        taken.every(
          ({ action: { kind, reason } }) =>
            (kind !== 'start-postcopy' || mayGoPostcopy) &&
            reason.text.length > 5 &&
            !/NaN|undefined|Infinity/.test(reason.text) &&
            Object.values(reason.numbers).every((number) => Number.isFinite(number)),
        )
      );
    }),
    { numRuns: 600 },
  );
  t.end();
});

t.test(
  'once post-copy runs or the migration is over, by whoever, nothing is done and no tick is asked for',
  (t) => {
    for (const id of peerIds()) {
      for (const status of ['postcopy-active', 'postcopy-paused', 'completed', 'failed', 'cancelled']) {
        const policy = peer(id);
        let { state, actions, wakeAtMs } = policy.init(peerContext());
        for (const [nowMs, now] of [
          [100, 'active'],
          [200, status],
          [300, 'active'],
        ] as const) {
          ({ state, actions, wakeAtMs } = policy.step(state, {
            kind: 'observation',
            nowMs,
            observation: observation({ atMs: nowMs, status: now, round: 90 + nowMs, kind: 'sample' }),
            forecast: NO_FORECAST,
          }));
        }
        t.equal(wakeAtMs, null, `${id} after ${status}`);
        ({ actions } = policy.step(state, { kind: 'tick', nowMs: 1e9 }));
        t.same(actions, []);
      }
    }
    t.end();
  },
);
