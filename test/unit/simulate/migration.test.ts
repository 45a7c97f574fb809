// SPDX-License-Identifier: Apache-2.0
// Migrations in the model: what every policy's user would notice.

import t from 'tap';
import { createAdaptivePolicy, peerPolicy, policyByName, policyNames } from '../../../src/decide/index.ts';
import type { Objective, Policy, PolicyContext } from '../../../src/model/index.ts';
import { guestOfPattern, pagesByHeatOf, simulateMigration } from '../../../src/simulate/index.ts';
import { GIGABIT_BYTES_PER_SEC, MIB } from '../support/observation.ts';
import { OBJECTIVE, policyContext } from '../support/policy-context.ts';

const MEMORY = 512 * MIB;
const FLOOR_MS = (MEMORY / GIGABIT_BYTES_PER_SEC) * 1000;

const idle = guestOfPattern(MEMORY, 0, { kind: 'idle' });
const hot = guestOfPattern(MEMORY, 0, { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB });
const warm = guestOfPattern(MEMORY, 0, { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 20 * MIB });

function run(
  name: string | Policy,
  guest = hot,
  fields: Partial<PolicyContext> = {},
  objective: Partial<Objective> = {},
) {
  const policy = typeof name === 'string' ? policyByName(name)! : name;
  const context = policyContext({ ...fields, objective: { ...OBJECTIVE, ...objective } });
  return simulateMigration({ policy, context, guest, linkBytesPerSec: GIGABIT_BYTES_PER_SEC, capMs: 60_000 });
}

t.test('an idle guest crosses once', (t) => {
  for (const name of ['qemu-default', 'adaptive', 'hybrid-1']) {
    const { outcome, tmtMs, transferredBytes } = run(name, idle);
    t.equal(outcome, 'completed');
    t.ok(
      tmtMs! > FLOOR_MS - 20 && tmtMs! < FLOOR_MS * 1.03,
      `${name}: ${tmtMs!.toFixed(0)} of ${FLOOR_MS.toFixed(0)} ms`,
    );
    t.ok(Math.abs(transferredBytes / MEMORY - 1) < 0.01);
  }
  const zero = guestOfPattern(MEMORY, MEMORY / 2, { kind: 'idle' });
  t.ok(run('qemu-default', zero).tmtMs! < 0.6 * FLOOR_MS, 'zero pages hardly cost');
  t.end();
});

t.test(
  'a guest that writes faster than the link carries never converges, and is finished by post-copy',
  (t) => {
    const stock = run('qemu-default');
    t.equal(stock.outcome, 'source-running');
    t.equal(stock.capped, true);
    t.equal(stock.tmtMs, null);
    const hybrid = run('hybrid-1');
    t.equal(hybrid.usedPostcopy, true);
    t.ok(hybrid.tmtMs! < FLOOR_MS * 1.2);
    t.ok(hybrid.stopToResumeMs! < 50 && hybrid.silenceMs! > 150, 'two clocks');
    const adaptive = run('adaptive');
    t.ok(adaptive.tmtMs! <= hybrid.tmtMs! * 1.03);
    t.ok(adaptive.silenceMs! < hybrid.silenceMs!);
    const atOnce = run('postcopy-immediate');
    t.ok(atOnce.tmtMs! < adaptive.tmtMs!);
    t.ok(atOnce.silenceMs! > adaptive.silenceMs!);
    t.end();
  },
);

t.test('the limit is kept where post-copy is forbidden', (t) => {
  const { outcome, reason } = run('adaptive', hot, { postcopyReady: false }, { postcopy: 'forbidden' });
  t.equal(outcome, 'source-running');
  t.match(reason, /does not converge/);
  const fits = run('adaptive', warm, { postcopyReady: false }, { postcopy: 'forbidden' });
  t.equal(fits.outcome, 'completed');
  t.ok(fits.stopToResumeMs! <= 300, `${fits.stopToResumeMs} ms`);
  t.end();
});

t.test('a slower link takes longer, a longer downtime fewer rounds', (t) => {
  const slow = simulateMigration({
    policy: policyByName('qemu-default')!,
    context: policyContext(),
    guest: idle,
    linkBytesPerSec: GIGABIT_BYTES_PER_SEC / 4,
  });
  t.ok(Math.abs(slow.tmtMs! / FLOOR_MS / 4 - 1) < 0.02);
  const strict = run('qemu-default', warm, {}, { maxDowntimeMs: 100 });
  const lax = run('qemu-default', warm, {}, { maxDowntimeMs: 2000 });
  t.ok(lax.rounds <= strict.rounds);
  t.ok(lax.tmtMs! < strict.tmtMs!);
  t.ok(lax.stopToResumeMs! > strict.stopToResumeMs!);
  t.end();
});

t.test('auto-converge slows the guest until it converges', (t) => {
  const { outcome, lostWorkMs, silenceMs, tmtMs } = run('auto-converge');
  t.equal(outcome, 'completed');
  t.ok(tmtMs! > 1.5 * FLOOR_MS);
  t.ok(lostWorkMs > silenceMs! + 100, 'work is lost beside the silence');
  t.end();
});

t.test('on a QEMU that shows its pages the hot ones cross once', (t) => {
  const pagesByHeat = pagesByHeatOf(hot, 4096);
  const pages = {
    pageSizeBytes: 4096,
    intervalMs: 200,
    syncMs: 1,
    dirtiedPages: 0,
    pendingPages: null,
    deferredPages: null,
    endsRound: null,
    round: null,
    window: null,
    pagesByHeat,
    heatWindowMs: 200,
    watchedMs: 1500,
  };
  const { outcome, transferredBytes, tmtMs, silenceMs } = run('adaptive', hot, {
    pages,
    pacesPostcopy: true,
  });
  t.equal(outcome, 'completed');
  t.ok(transferredBytes < 1.05 * MEMORY, `${(transferredBytes / MEMORY).toFixed(3)} times the memory`);
  t.ok(tmtMs! < 1.1 * FLOOR_MS);
  t.ok(silenceMs! < 150);
  t.end();
});

t.test('the same inputs give the same run, to the last bit', (t) => {
  for (const name of ['adaptive', 'kubevirt-vep248', 'auto-converge']) t.same(run(name), run(name));
  t.end();
});

t.test('every policy of the project ends, whatever the guest does', (t) => {
  const bursts = guestOfPattern(MEMORY, 30 * MIB, {
    kind: 'burst',
    setBytes: 64 * MIB,
    rateBytesPerSec: 200 * MIB,
    onMs: 300,
    offMs: 1700,
  });
  for (const name of policyNames()) {
    for (const guest of [hot, bursts]) {
      const { outcome, tmtMs } = run(name, guest);
      t.ok(outcome === 'completed' ? tmtMs! > 0 : tmtMs === null, name);
    }
  }
  t.end();
});

t.test('a peer that pauses the guest blacks it out for as long as the rest takes', (t) => {
  const { outcome, silenceMs } = run(peerPolicy('libvirt-timeout-suspend', 0.2)!);
  t.equal(outcome, 'completed');
  t.ok(silenceMs! > 400, `${silenceMs!.toFixed(0)} ms`);
  t.end();
});

t.test('a policy that waits is simulated from the moment at which it begins', (t) => {
  const base = createAdaptivePolicy();
  const waiting = {
    ...base,
    init: (context: PolicyContext) => {
      const step = base.init(context);
      const wait = { kind: 'wait', waitMs: 3000, reason: { text: 'later', numbers: {} } } as const;
      return { ...step, actions: [...step.actions, wait] };
    },
  } as Policy;
  const phases = guestOfPattern(MEMORY, 0, {
    kind: 'phases',
    phases: [
      { forMs: 3000, pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB } },
      { forMs: 20_000, pattern: { kind: 'idle' } },
    ],
  });
  const { waitedMs, tmtMs } = run(waiting, phases);
  t.equal(waitedMs, 3000);
  t.ok(tmtMs! < FLOOR_MS * 1.03, 'the busy time is over by then');
  t.end();
});
