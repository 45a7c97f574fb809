// SPDX-License-Identifier: Apache-2.0
// What a peer does to a made-up guest, spelled out: its rules' own test vectors where there are any, and worked cases.

import { dirtyRounds, GIB, MB, type Scenario, sentAt } from './peer-drive.ts';
import { MIB } from './observation.ts';

export interface Vector {
  readonly id: string;
  readonly scenario: Scenario;
  /** As `spelled` writes it. */
  readonly does: string;
  readonly because?: string;
}

export const NO_POSTCOPY = { postcopyReady: false, preemptReady: false };

function alone(scenario: Scenario): Scenario {
  return { ...scenario, context: { ...scenario.context, ...NO_POSTCOPY } };
}

const ROUND_OF_4_S: Scenario = { untilMs: 200_000, roundMs: 4000 };
const ROUND_OF_10_S: Scenario = { untilMs: 600_000, roundMs: 10_000, firstRoundMs: 5000 };

const vdsm: readonly Vector[] = [
  {
    id: 'vdsm-minimal-downtime',
    scenario: ROUND_OF_4_S,
    does: '100@0, 150@20, 200@30, 300@40, 400@50, 500@60, abort@70',
  },
  {
    id: 'vdsm-minimal-downtime',
    scenario: ROUND_OF_10_S,
    does: '100@0, 150@30, 200@40, 300@50, 400@60, 500@80, abort@90',
    because: 'exactly one round per poll',
  },
  {
    id: 'vdsm-minimal-downtime',
    scenario: { untilMs: 85_000, roundMs: 4000, firstRoundMs: 60_500 },
    does: '100@0, 150@70, 200@80',
    because: 'nothing happens while the first round lasts',
  },
  {
    id: 'vdsm-suspend',
    scenario: ROUND_OF_4_S,
    does: '100@0, 150@20, 200@30, 300@40, 400@50, 500@60, 5000@70, abort@80',
  },
  { id: 'vdsm-postcopy', scenario: ROUND_OF_4_S, does: '100@0, 150@20, 200@30, post-copy@40' },
  {
    id: 'vdsm-postcopy',
    scenario: alone(ROUND_OF_4_S),
    does: '100@0, 150@20, 200@30, continue@40, abort@50',
    because: 'where the switch fails the next item follows',
  },
  {
    id: 'vdsm-legacy',
    scenario: ROUND_OF_10_S,
    does: '101@0, 104@30, 120@40, 189@50, 500@60, abort@440',
    because: 'the 43rd round since the first poll',
  },
];

/** Of 512 MiB, which Nova counts as 2 GiB. */
const LONG: Scenario = { untilMs: 1_700_000, roundMs: 60_000, sampleMs: 30_000 };
const NOVA_LADDER =
  '50@0, 95@150.5, 140@300.5, 185@450.5, 230@600.5, 275@750.5, 320@900.5, 365@1050.5, 410@1200.5, 455@1350.5, 500@1500.5';

const nova: readonly Vector[] = [
  { id: 'nova-abort', scenario: LONG, does: `${NOVA_LADDER}, abort@1600.5` },
  { id: 'nova-force-complete', scenario: LONG, does: `${NOVA_LADDER}, post-copy@1600.5` },
  {
    id: 'nova-abort',
    scenario: { ...LONG, see: (atMs) => ({ status: atMs < 1_650_000 ? 'setup' : 'active' }) },
    does: '50@0, abort@1650',
    because: 'all is late at once, and nothing follows the abort',
  },
  { id: 'nova-force-complete', scenario: alone(LONG), does: `${NOVA_LADDER}, pause@1600.5` },
];

/** 8 GiB; each poll that sees less than the one before counts as progress. */
const EIGHT_GIB: Scenario = {
  context: { memoryBytes: 8 * GIB },
  untilMs: 3_000_000,
  roundMs: 60_000,
  sampleMs: 10_000,
  see: (atMs) => ({ remainingBytes: 64 * MIB - (atMs % 60_000) }),
};

function stuckFrom(sec: number): Scenario {
  return {
    context: { memoryBytes: 64 * GIB },
    untilMs: 400_000,
    roundMs: 1_000_000,
    see: (atMs) => ({ remainingBytes: GIB - Math.min(atMs, sec * 1000) }),
  };
}

const kubevirtLegacy: readonly Vector[] = [
  {
    id: 'kubevirt-legacy',
    scenario: EIGHT_GIB,
    does: '300@0, post-copy@1288.8',
    because: 'the first poll after 8.59 GB x 150 s',
  },
  { id: 'kubevirt-legacy', scenario: alone(EIGHT_GIB), does: '300@0, abort@1288.8' },
  { id: 'kubevirt-legacy-hco', scenario: alone(EIGHT_GIB), does: '300@0, abort@172' },
  {
    id: 'kubevirt-legacy-pause',
    scenario: alone(EIGHT_GIB),
    does: '300@0, pause@1288.8, abort@2577.2',
    because: 'the paused guest is given as long again',
  },
  { id: 'kubevirt-legacy', scenario: stuckFrom(0), does: '300@0, abort@150.8', because: 'a dead link' },
  { id: 'kubevirt-legacy', scenario: stuckFrom(100), does: '300@0, abort@250.4' },
];

/** A first boundary at 10 s, then one every 2 s with as much left each time; 117 MB/s. */
function flat(mib: number): Scenario {
  return {
    context: { memoryBytes: 8 * GIB },
    untilMs: 300_000,
    roundMs: 2000,
    firstRoundMs: 10_000,
    see: (_, round) => ({ remainingBytes: (round === 1 ? 8192 : mib) * MIB }),
  };
}

/** 64 MiB once, then a saw between 80 and 100 MiB. */
const SAW: Scenario = {
  ...flat(0),
  see: (_, round) => ({ remainingBytes: (round === 2 ? 64 : round % 2 === 0 ? 80 : 100) * MIB }),
};

/** 64 MiB once, 70 at 60 s, otherwise 100. */
const TWO_DIPS: Scenario = {
  ...flat(0),
  see: (_, round) => ({ remainingBytes: (round === 2 ? 64 : round === 27 ? 70 : 100) * MIB }),
};

/** 115 MiB left, and one look at about half the bandwidth just before the boundary at 50 s. */
const DIP_OF_BANDWIDTH: Scenario = {
  ...flat(0),
  see: (atMs, round) => ({
    remainingBytes: (round === 1 ? 8192 : 115) * MIB,
    lastWindowBytesPerSec: atMs >= 49_500 ? 60e6 : 117e6,
  }),
};

const vep248: readonly Vector[] = [
  {
    id: 'kubevirt-vep248',
    scenario: flat(1024),
    does: '300@0, post-copy@50',
    because: 'at the boundary at which the first record is 40 s old',
  },
  {
    id: 'kubevirt-vep248-hard',
    scenario: alone(flat(1024)),
    does: '300@0, 2000000@50, abort@110.4',
    because: 'no switchover within 60 s',
  },
  { id: 'kubevirt-vep248', scenario: alone(flat(1024)), does: '300@0, abort@50', because: '9.2 s' },
  {
    id: 'kubevirt-vep248',
    scenario: alone(flat(100)),
    does: '300@0, 900@50, abort@110.4',
    because: '896 ms fit',
  },
  {
    id: 'kubevirt-vep248',
    scenario: alone(flat(150)),
    does: '300@0, 900@50, abort@110.4',
    because: '1,344 ms are tried',
  },
  { id: 'kubevirt-vep248', scenario: alone(flat(151)), does: '300@0, abort@50', because: '1,353 ms are not' },
  {
    id: 'kubevirt-vep248',
    scenario: SAW,
    does: '300@0, post-copy@90',
    because: 'stalled at 50 s, 64 MiB not met again; after 40 s of patience 80 MiB will do',
  },
  {
    id: 'kubevirt-vep248',
    scenario: {
      ...SAW,
      see: (_, round) => ({ remainingBytes: (round === 2 ? 64 : round % 2 === 0 ? 66.5 : 100) * MIB }),
    },
    does: '300@0, post-copy@50',
    because: '66.5 is within 4 % of 64',
  },
  {
    id: 'kubevirt-vep248',
    scenario: TWO_DIPS,
    does: '300@0, post-copy@110',
    because: 'after 40 s 70 MiB would do, after 20 s more 100 MiB do',
  },
  {
    id: 'kubevirt-vep248',
    scenario: alone(DIP_OF_BANDWIDTH),
    does: '300@0, 900@50, abort@110.4',
    because: '0.4 x 60 + 0.6 x 117 MB/s: 1,280 ms; the dip alone would say 2,010 ms',
  },
];

const HOUR: Scenario = {
  untilMs: 3_700_000,
  roundMs: 1000,
  sampleMs: 20_000,
  see: (atMs, round) => ({
    transferredBytes: sentAt(100 * MB, atMs),
    dirtyAtRoundStartBytes: (round === 4 ? 30 : 30.1) * MB,
  }),
};

const TWICE_SENT: Scenario = {
  untilMs: 50_000,
  roundMs: 5500,
  sampleMs: 1000,
  see: (atMs) => ({ totalBytes: MB, transferredBytes: atMs * 100 }),
};

const others: readonly Vector[] = [
  {
    id: 'cloudstack',
    scenario: { untilMs: 400_000, roundMs: 5000 },
    does: '250@1, pause@60.1, abort@300.1',
  },
  {
    id: 'cloud-hypervisor',
    scenario: HOUR,
    does: '1@0, 300@3, 1@4, abort@3600',
    because: '30 MB at 100 MB/s fit, 30.1 do not',
  },
  {
    id: 'cloud-hypervisor',
    scenario: { ...HOUR, untilMs: 5000, see: () => ({ dirtyAtRoundStartBytes: 0 }) },
    does: '1@0, 300@1',
    because: 'nothing is dirty',
  },
  { id: 'ganeti', scenario: TWICE_SENT, does: '30@0, 33@20, 36@50' },
  {
    id: 'ganeti-cancel',
    scenario: TWICE_SENT,
    does: '30@0, 33@20, abort@41',
    because: 'more than four times the memory',
  },
  { id: 'ganeti-postcopy', scenario: TWICE_SENT, does: '30@0, post-copy@6' },
  { id: 'ganeti-postcopy', scenario: alone(TWICE_SENT), does: '30@0, 33@20, 36@50' },
];

function dirtying(roundMs: number, ...mib: number[]): Scenario {
  return { untilMs: 60 * roundMs, roundMs, sampleMs: roundMs, see: dirtyRounds(...mib) };
}

const xen: readonly Vector[] = [
  {
    id: 'xen2005',
    scenario: dirtying(4000, 64),
    does: '1@0, 12.5 MB/s@0, 23 MB/s@4, pause@72',
    because: '64 MiB in 4 s are 134 Mbit/s, so 184; 512 + 17 x 64 MiB are more than 3 x RAM',
  },
  { id: 'xen2005', scenario: dirtying(4000, 16), does: '1@0, 12.5 MB/s@0, pause@116', because: '29 rounds' },
  {
    id: 'xen2005',
    scenario: dirtying(4000, 0.1),
    does: '1@0, 12.5 MB/s@0, pause@8',
    because: 'a round of fewer than 50 pages',
  },
  {
    id: 'xen2005',
    scenario: dirtying(1000, 64, 64, 65),
    does: '1@0, 12.5 MB/s@0, 62.5 MB/s@1, pause@4',
    because: 'a round that sent more, at 500 Mbit/s',
  },
  { id: 'xen-libxc', scenario: dirtying(1000, 64), does: '1@0, pause@5', because: 'five rounds' },
  { id: 'xen-libxc', scenario: dirtying(1000, 64, 0.1), does: '1@0, pause@2', because: 'few pages' },
];

const ROUND_OF_7_S: Scenario = { untilMs: 400_000, roundMs: 7000 };
const FAST: Scenario = { untilMs: 400_000, roundMs: 1010 };

const fixedMoments: readonly Vector[] = [
  { id: 'hybrid-1', scenario: ROUND_OF_7_S, does: '250@0, post-copy@7' },
  { id: 'libvirt-postcopy-after-precopy', scenario: ROUND_OF_7_S, does: '250@0, post-copy@7' },
  { id: 'hybrid-2', scenario: ROUND_OF_7_S, does: '250@0, post-copy@14' },
  { id: 'hybrid-3', scenario: ROUND_OF_7_S, does: '250@0, post-copy@21' },
  { id: 'hybrid-1', scenario: alone(ROUND_OF_7_S), does: '250@0, continue@7' },
  { id: 'libvirt-timeout-suspend', scenario: ROUND_OF_7_S, does: '250@0, pause@60' },
  { id: 'libvirt-timeout-postcopy', scenario: ROUND_OF_7_S, does: '250@0, post-copy@60' },
  { id: 'libvirt-timeout-postcopy', scenario: alone(ROUND_OF_7_S), does: '250@0, continue@60' },
  { id: 'precopy-to-timeout', scenario: ROUND_OF_7_S, does: '250@0, abort@300' },
  { id: 'guestperf-postcopy-5', scenario: FAST, does: '500@0, post-copy@4.05' },
  { id: 'guestperf-postcopy-5', scenario: alone(FAST), does: '500@0, continue@4.05, abort@30.3' },
  {
    id: 'guestperf-pause-5',
    scenario: FAST,
    does: '500@0, pause@4.05, abort@30.3',
    because: 'more than 30 rounds',
  },
  {
    id: 'guestperf-pause-5',
    scenario: { ...FAST, roundMs: 70_010 },
    does: '500@0, pause@280.05, abort@300.05',
    because: 'more than 300 s',
  },
];

/** Rounds of 1 s at 100 MiB/s, from the fourth on at `laterMib`/s. */
function sending(laterMib: number, ...mib: number[]): Scenario {
  const dirty = dirtyRounds(...mib);
  const rate = (atMs: number) => 100 * Math.min(atMs, 3000) + laterMib * Math.max(0, atMs - 3000);
  return {
    untilMs: 30_000,
    roundMs: 1000,
    see: (atMs, round, kind) => ({
      ...dirty(atMs, round, kind),
      transferredBytes: (rate(atMs) * MIB) / 1000,
    }),
  };
}

const stopRules: readonly Vector[] = [
  { id: 'itc-lm', scenario: sending(100, 90, 60, 40, 39, 39), does: '250@0, 2000000@5' },
  {
    id: 'ibrahim',
    scenario: sending(100, 90, 60, 40, 37, 30),
    does: '1@0, 2000000@4',
    because: '7.5 % less is flat',
  },
  {
    id: 'ibrahim',
    scenario: sending(50, 90, 60, 40, 37, 30, 20),
    does: '1@0',
    because: 'flat, but at half the bandwidth',
  },
  {
    id: 'smart-stop-and-copy',
    scenario: sending(100, 90, 60, 40, 50, 45, 48, 46, 44, 43),
    does: '1@0, pause@9',
    because: 'it grows from the fourth boundary on; the ninth is the first not above the five before it',
  },
  { id: 'dirty-ratio-hybrid', scenario: sending(100, 20, 30, 49, 50), does: '250@0, post-copy@4' },
  { id: 'dirty-ratio-hybrid', scenario: alone(sending(100, 20, 50)), does: '250@0, continue@2' },
];

export const VECTORS: Readonly<Record<string, readonly Vector[]>> = {
  'the schedules of VDSM': vdsm,
  'the ways in which Nova ends': nova,
  "KubeVirt's budget and its progress time-out": kubevirtLegacy,
  'KubeVirt VEP 248': vep248,
  'CloudStack, Cloud Hypervisor, Ganeti': others,
  'the stop rules of Xen': xen,
  'policies of one moment': fixedMoments,
  'the stop rules of papers': stopRules,
};
