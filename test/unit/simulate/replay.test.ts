// SPDX-License-Identifier: Apache-2.0
// A recorded migration, looked at again: the same policy decides the same, another parts ways, and nothing is left to chance.

import t from 'tap';
import { policyByName } from '../../../src/decide/index.ts';
import type { Observation, Policy, PolicyContext } from '../../../src/model/index.ts';
import {
  goOn,
  guestOfPattern,
  guestOfRecording,
  type Recording,
  replay,
  simulateMigration,
} from '../../../src/simulate/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB } from '../support/observation.ts';
import { policyContext } from '../support/policy-context.ts';

const HOT = guestOfPattern(512 * MIB, 0, { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB });

/** What a recorder would have kept of a migration in the model. */
function record(name: string, context: PolicyContext = policyContext()) {
  const policy = policyByName(name)!;
  const observations: Observation[] = [];
  const watching: Policy = {
    ...policy,
    step: (state, input) => {
      if (input.kind === 'observation') observations.push(input.observation);
      return policy.step(state, input);
    },
  };
  const run = simulateMigration({
    policy: watching,
    context,
    guest: HOT,
    linkBytesPerSec: GIGABIT_BYTES_PER_SEC,
    capMs: 10_000,
  });
  const actions = run.actions.map(({ atMs, action }) => ({
    atMs,
    kind: action.kind,
    change: action.kind === 'set-parameters' ? action.change : null,
  }));
  const recording: Recording = { context, observations, actions };
  return { run, recording };
}

t.test('the policy that was recorded does not part ways', (t) => {
  for (const name of ['adaptive', 'qemu-default', 'hybrid-1', 'kubevirt-vep248']) {
    const { recording } = record(name);
    const again = replay(policyByName(name)!, recording, GIGABIT_BYTES_PER_SEC);
    t.equal(again.partsAtMs, null, name);
    t.equal(again.then, null);
  }
  t.end();
});

t.test('another parts ways where it first wants something else, and its end is told by the model', (t) => {
  const { recording } = record('qemu-default');
  const { partsAtMs, then, decisions } = replay(policyByName('hybrid-1')!, recording, GIGABIT_BYTES_PER_SEC);
  const secondRoundMs = recording.observations.find(({ round }) => round === 2)!.atMs;
  t.equal(partsAtMs, secondRoundMs);
  t.equal(decisions.at(-1)?.action.kind, 'start-postcopy');
  t.equal(then?.outcome, 'completed');
  t.equal(then?.usedPostcopy, true);
  const real = record('hybrid-1').run;
  t.ok(
    Math.abs(then!.tmtMs! / real.tmtMs! - 1) < 0.05,
    `${then!.tmtMs!.toFixed(0)} of ${real.tmtMs!.toFixed(0)} ms`,
  );
  t.end();
});

t.test('the same trace gives the same replay, to the last bit', (t) => {
  const { recording } = record('qemu-default');
  const once = JSON.stringify(replay(policyByName('adaptive')!, recording, null));
  t.equal(JSON.stringify(replay(policyByName('adaptive')!, recording, null)), once);
  t.end();
});

t.test('the guest of a recording is like the one that was recorded', (t) => {
  const { recording } = record('hybrid-1');
  const guest = guestOfRecording(recording)!;
  const within = (ms: number): number => guest.parts.reduce((sum, part) => sum + part.dirtyBetween(0, ms), 0);
  t.ok(
    Math.abs(within(1000) / (64 * MIB) - 1) < 0.15,
    `${(within(1000) / MIB).toFixed(1)} MiB within a second`,
  );
  t.end();
});

t.test('of a migration that showed nothing nothing is said', (t) => {
  const { recording } = record('qemu-default');
  const blind = {
    ...recording,
    observations: recording.observations.map((each) => ({
      ...each,
      dirtySamples: [],
      dirtyAtRoundStartBytes: null,
      bandwidthBytesPerSec: null,
    })),
  };
  t.equal(guestOfRecording(blind), null);
  t.equal(goOn(policyByName('adaptive')!, blind, 5000, null), null);
  t.end();
});
