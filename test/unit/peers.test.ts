// SPDX-License-Identifier: Apache-2.0
// Each peer does what the system does that it is called after.

import t from 'tap';
import {
  livesByClock,
  peerIds,
  peerPolicy,
  PEERS_OUT_OF_REACH,
  policyByName,
  policyNames,
} from '../../src/decide/index.ts';
import { MIB } from './support/observation.ts';
import {
  downtimes,
  drive,
  GIB,
  NO_FORECAST,
  peer,
  peerContext,
  type Scenario,
  sentAt,
  spelled,
} from './support/peer-drive.ts';
import { NO_POSTCOPY, VECTORS } from './support/peer-vectors.ts';

function run(id: string, scenario: Scenario): string {
  return spelled(drive(peer(id), scenario));
}

t.test('the folder has the peers that were asked for, and says why not the others', (t) => {
  const wanted = [
    ...['auto-converge', 'incus', 'xbzrle', 'vdsm-minimal-downtime', 'vdsm-suspend', 'vdsm-postcopy'],
    ...['vdsm-legacy', 'nova-abort', 'nova-force-complete', 'kubevirt-legacy', 'kubevirt-vep291'],
    ...['kubevirt-vep248', 'proxmox', 'ganeti', 'cloudstack', 'cloud-hypervisor', 'xen2005', 'xen-libxc'],
    ...['libvirt-postcopy-after-precopy', 'libvirt-timeout-suspend', 'libvirt-timeout-postcopy'],
    ...['guestperf-pause-5', 'guestperf-postcopy-5', 'hybrid-1', 'hybrid-2', 'hybrid-3'],
    ...['precopy-to-timeout', 'itc-lm', 'ibrahim', 'smart-stop-and-copy', 'dirty-ratio-hybrid'],
    'pacer-deadline',
  ];
  const ids = peerIds();
  t.same(
    wanted.filter((id) => !ids.includes(id)),
    [],
  );
  t.equal(new Set(ids).size, ids.length);
  t.same(policyNames().slice(0, 4), ['adaptive', 'qemu-default', 'postcopy-immediate', ids[0]]);
  for (const { id, reason } of PEERS_OUT_OF_REACH) {
    t.notOk(ids.includes(id), id);
    t.ok(reason.length > 20, `${id} has a reason`);
  }
  t.end();
});

t.test('a name may carry a time scale, for peers that live by the clock', (t) => {
  t.equal(policyByName('vdsm-postcopy')?.name, 'vdsm-postcopy');
  t.equal(policyByName('vdsm-postcopy@x0.056')?.name, 'vdsm-postcopy@x0.056');
  t.equal(peer('nova-abort', 1 / 18).name, 'nova-abort@x0.0556');
  t.equal(peer('nova-abort', 1).name, 'nova-abort');
  t.equal(peerPolicy('hybrid-1', 0.5), undefined, 'rounds have no time to scale');
  t.equal(policyByName('xen2005@x0.5'), undefined);
  t.equal(policyByName('adaptive@x0.5'), undefined);
  t.equal(policyByName('vdsm-postcopy@x0'), undefined);
  t.equal(peerPolicy('vdsm-postcopy', Number.NaN), undefined);
  t.equal(peerPolicy('nobody'), undefined);
  t.ok(livesByClock('proxmox'));
  t.notOk(livesByClock('itc-lm'));
  t.notOk(livesByClock('adaptive'));
  t.end();
});

t.test('qemu-default and auto-converge act once, before the start', (t) => {
  const scenario: Scenario = { untilMs: 100_000, roundMs: 1000 };
  t.equal(spelled(drive(policyByName('qemu-default')!, scenario)), '250@0');
  const auto = drive(peer('auto-converge'), scenario);
  t.equal(spelled(auto), '250@0, parameters@0');
  const { action } = auto[1]!;
  const change = action.kind === 'set-parameters' ? action.change : {};
  const ladder = [change.throttleInitialPercent!];
  while (ladder.at(-1)! < change.throttleMaxPercent!) {
    ladder.push(Math.min(ladder.at(-1)! + change.throttleIncrementPercent!, change.throttleMaxPercent!));
  }
  t.same(ladder, [20, 30, 40, 50, 60, 70, 80, 90, 99]);
  t.equal(change.throttleTriggerPercent, 50);
  t.same(peer('auto-converge').capabilities, ['auto-converge']);
  t.end();
});

t.test('incus throttles from 20 %, by 50 % at first; a parameter that QEMU lacks is not set', (t) => {
  const { parameters } = peerContext();
  const old = peerContext({ parameters: { ...parameters, throttleTriggerPercent: null } });
  const [downtime, throttle] = peer('incus').init(old).actions;
  t.match(downtime, { change: { downtimeLimitMs: 300 } });
  t.same(throttle?.kind === 'set-parameters' && throttle.change, {
    throttleInitialPercent: 50,
    throttleIncrementPercent: 10,
    throttleMaxPercent: 99,
  });
  t.match(peer('incus').init(peerContext()).actions[1], { change: { throttleTriggerPercent: 20 } });
  t.end();
});

t.test('xbzrle has a tenth of the memory as its cache, rounded to a power of two', (t) => {
  const context = peerContext({ memoryBytes: GIB });
  t.match(peer('xbzrle').init(context).actions[1], { change: { xbzrleCacheBytes: 64 * MIB } });
  t.match(peer('proxmox').init(context).actions[1], { change: { xbzrleCacheBytes: 128 * MIB } });
  t.same(peer('xbzrle').capabilities, ['xbzrle']);
  t.end();
});

for (const [title, vectors] of Object.entries(VECTORS)) {
  t.test(title, (t) => {
    for (const { id, scenario, does, because = '' } of vectors) {
      t.equal(run(id, scenario), does, `${id} ${because}`);
    }
    t.end();
  });
}

t.test("Nova's ladder grows with the memory, and so does its time-out", (t) => {
  const table = [
    [2, 150, 1500, 1600],
    [4, 300, 3000, 3200],
    [8, 600, 6000, 6400],
    [16, 1200, 12_000, 12_800],
    [64, 4800, 48_000, 51_200],
  ] as const;
  for (const [gib, stepSec, lastSec, timeoutSec] of table) {
    const taken = drive(peer('nova-abort'), {
      context: { memoryBytes: gib * GIB },
      untilMs: (timeoutSec + 1000) * 1000,
      roundMs: 60_000,
      sampleMs: 30_000,
    });
    const ladder = [50, 95, 140, 185, 230, 275, 320, 365, 410, 455, 500];
    t.same(downtimes(taken), ladder, `${gib} GiB`);
    const times = taken.map(({ atMs }) => atMs / 1000);
    // "elapsed > step": the first look after it, one every half second.
    t.same(
      times.slice(1, 11),
      ladder.slice(1).map((_, index) => (index + 1) * stepSec + 0.5),
    );
    t.equal(times[10], lastSec + 0.5);
    t.equal(taken.at(-1)?.action.kind, 'cancel');
    t.equal(times.at(-1), timeoutSec + 0.5);
  }
  t.end();
});

t.test('the downtime tuning of VEP 291', (t) => {
  const scenario: Scenario = { context: { memoryBytes: 8 * GIB }, untilMs: 140_000, roundMs: 2000 };
  const tuned = drive(peer('kubevirt-vep291'), scenario);
  t.same(downtimes(tuned).slice(1), [150, 257, 364, 471, 578, 685, 792, 899, 900]);
  t.equal(tuned[1]?.atMs, 400, 'the first poll');
  t.same(
    tuned.slice(2).map(({ atMs }) => atMs),
    [1, 2, 3, 4, 5, 6, 7, 8].map((raise) => 400 + raise * 10_000),
    '80 s for 8 raises',
  );
  const late = drive(peer('kubevirt-vep291'), { ...scenario, firstRoundMs: 50_000 });
  t.equal(late[2]?.atMs, 52_000, 'not before round 3');
  t.same(
    downtimes(drive(peer('kubevirt-vep291-1050'), scenario)).slice(1),
    [150, 278, 406, 534, 662, 790, 918, 1046, 1050],
  );
  t.end();
});

t.test('VEP 248 does not switch on a bandwidth that has collapsed; a spent budget then aborts', (t) => {
  const dropped: Scenario = {
    context: { memoryBytes: GIB },
    untilMs: 400_000,
    roundMs: 2000,
    see: (_, round) => ({
      remainingBytes: (round === 1 ? 1024 : 256) * MIB,
      lastWindowBytesPerSec: 5e5,
    }),
  };
  const taken = drive(peer('kubevirt-vep248'), dropped);
  t.ok(taken.some(({ action }) => action.kind === 'continue'));
  t.match(spelled(taken), /abort@161\.\d+$/, 'GiB x 150 s/GB');
  const silent: Scenario = { ...dropped, see: () => ({ lastWindowBytesPerSec: null }) };
  t.match(run('kubevirt-vep248', silent), /^300@0, abort@161/);
  const moving: Scenario = {
    ...dropped,
    see: (_, round) => ({ remainingBytes: 1e9 * 0.9 ** round }),
  };
  t.match(run('kubevirt-vep248', moving), /^300@0, post-copy@161/, 'never stalled, forced by the budget');
  t.end();
});

t.test('Proxmox doubles after every sixth rise, up to what QEMU takes', (t) => {
  const taken = drive(peer('proxmox'), {
    untilMs: 200_000,
    roundMs: 1000,
    // One rise per poll, from the second poll on.
    see: (atMs) => ({ transferredBytes: atMs, remainingBytes: GIB + atMs }),
  });
  const ladder = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400, 204_800];
  t.same(downtimes(taken), [...ladder, 409_600, 819_200, 1_638_400, 2_000_000]);
  const raises = taken.slice(2).map(({ atMs }) => atMs);
  t.same(
    raises,
    raises.map((_, index) => 7000 + 6000 * index),
    '6 rises each, the first poll has nothing to compare with',
  );
  t.end();
});

t.test('Proxmox looks ten times as often once less is left than a poll carries', (t) => {
  const taken = drive(peer('proxmox'), {
    untilMs: 20_000,
    roundMs: 1000,
    sampleMs: 50,
    see: (atMs) => ({
      transferredBytes: atMs * 1e5,
      remainingBytes: atMs < 9500 ? 1e9 : 1e6 + atMs,
    }),
  });
  // 10 s: fewer bytes left than 1e5 x 10 polls; from 10.1 s on a rise every 100 ms.
  t.same(
    taken.slice(2, 4).map(({ atMs }) => Math.round(atMs)),
    [10_600, 11_200],
  );
  t.end();
});

t.test("Ganeti's downtime grows by a tenth every 30 s once twice the memory has been sent", (t) => {
  const scenario: Scenario = {
    untilMs: 3_000_000,
    roundMs: 5000,
    sampleMs: 1000,
    see: (atMs) => ({ totalBytes: GIB, transferredBytes: atMs < 100_000 ? GIB : 2 * GIB }),
  };
  const taken = drive(peer('ganeti'), { ...scenario, context: NO_POSTCOPY });
  const ladder = [
    ...[30, 33, 36, 39, 42, 46, 50, 55, 60, 66, 72, 79, 86, 94, 103, 113, 124, 136, 149, 163, 179, 196],
    ...[215, 236, 259, 284, 312, 343, 377, 414, 455, 500, 550, 605, 665, 731, 804, 884, 972, 1000],
  ];
  t.same(downtimes(taken), ladder);
  t.same(
    taken.slice(1).map(({ atMs }) => atMs),
    ladder.slice(1).map((_, index) => 100_000 + 30_000 * index),
    '39 raises, the first as soon as the ratio is 2',
  );
  t.end();
});

t.test(
  'Pacer spreads the migration over the time to the deadline, and goes full rate for the last pass',
  (t) => {
    const objective = { ...peerContext().objective, deadlineMs: 40_000 };
    const memoryBytes = 512 * MIB;
    const pace = 16 * MIB;
    const scenario: Scenario = {
      context: { objective, memoryBytes },
      untilMs: 60_000,
      roundMs: 60_000,
      see: (atMs) => ({
        remainingBytes: Math.max(0, memoryBytes - sentAt(pace, atMs)),
        bandwidthBytesPerSec: pace,
      }),
    };
    // B_max 128 MiB/s: t3 = 4 s, 512 MiB in 36 s = 14.2 MiB/s, in steps of two: 16. Ahead of it 14, at last full rate.
    const taken = drive(peer('pacer-deadline'), scenario);
    const rates = taken
      .slice(1)
      .map(({ action }) =>
        action.kind === 'set-parameters' ? action.change.maxBandwidthBytesPerSec! / MIB : null,
      );
    t.equal(rates[0], 16);
    t.equal(rates.at(-1), 128);
    t.ok(rates.every((rate) => rate! % 2 === 0 && rate! <= 128));
    t.ok(taken.every(({ atMs }) => atMs % 5000 === 0));
    const worked = drive(peer('pacer-deadline'), {
      ...scenario,
      context: {
        objective: { ...objective, deadlineMs: 25_000 },
        memoryBytes,
        parameters: { ...peerContext().parameters, maxBandwidthBytesPerSec: 112 * MIB },
      },
      untilMs: 5000,
      forecast: { ...NO_FORECAST, curve: { hotBytes: 0, tauMs: 1, coldBytesPerMs: (20 * MIB) / 1000 } },
      see: () => ({ remainingBytes: memoryBytes, bandwidthBytesPerSec: 112 * MIB }),
    });
    t.match(spelled(worked.slice(-1)), `${(56 * MIB) / 1e6} MB/s@5`);
    // 430 MiB in 31 s would be 13.9 MiB/s, so 14; but 1.5 of the 16 that were set did not come about.
    const short = { remainingBytes: 430 * MIB, bandwidthBytesPerSec: 14.5 * MIB };
    t.equal(drive(peer('pacer-deadline'), { ...scenario, untilMs: 6000, see: () => short }).length, 2);
    t.equal(run('pacer-deadline', { ...scenario, context: {} }), '250@0, continue@0', 'no deadline');
    t.end();
  },
);
