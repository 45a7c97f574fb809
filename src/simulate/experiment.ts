// SPDX-License-Identifier: Apache-2.0
// An experiment's runs in the model, as records that reports read like those of real runs.

import {
  type Experiment,
  linkRateBytesPerSec,
  type PlannedRun,
  RUN_SCHEMA,
  type RunRecord,
  scaledTimeFactor,
  tcpGoodputBytesPerSec,
  type WritePattern,
} from '../experiment/index.ts';
import { seededRandom } from '../common/index.ts';
import { type GuestProfile, type Policy, type PolicyContext, QEMU_PARAMETERS } from '../model/index.ts';
import { modelContext } from './context.ts';
import { simulateMigration } from './migration.ts';
import type { SimulatedRun } from './simulation.ts';
import { guestOfPattern, testGuestZeroBytes } from './pattern-guest.ts';
import { pagesByHeatOf, type SimulatedGuest } from './guest.ts';
import { profileOf } from './profile.ts';

/** What a run's guest is in the model: what its workload writes, or what was recorded of it. */
export type GuestSource =
  | { readonly kind: 'pattern'; readonly pattern: WritePattern }
  | { readonly kind: 'recorded'; readonly guest: SimulatedGuest };

/** From the end of the settling to the migrate command; fitted to the guests of `converging` that have phases. */
const BEGIN_MS = 1400;
const BEGIN_SPREAD_MS = 200;
const PAGE_BYTES = 4096;

/** The name under which `policyByName` knows a run's policy; a module's is its file's. `setting`: what the oracle's search picked. */
export function policyNameOf(
  { policy: { source }, guest, link }: PlannedRun,
  setting: string | null,
): string {
  if (source.kind === 'oracle') return setting ?? '';
  if (source.kind === 'file') return source.path;
  if (!source.scaled) return source.id;
  const linkBytesPerSec = linkRateBytesPerSec(link);
  return `${source.id}@x${scaledTimeFactor({ memoryBytes: guest.memoryBytes, linkBytesPerSec }).toPrecision(3)}`;
}

function guestOf(source: GuestSource, run: PlannedRun): SimulatedGuest {
  if (source.kind === 'recorded') return source.guest;
  // A real guest has been in its workload for as long, and for what a controller takes to begin; the last is a matter of chance.
  const phaseMs = run.settleMs + BEGIN_MS + (seededRandom(run.seed)() - 0.5) * BEGIN_SPREAD_MS;
  const { memoryBytes } = run.guest;
  return guestOfPattern(memoryBytes, testGuestZeroBytes(memoryBytes), source.pattern, phaseMs);
}

function contextOf(
  run: PlannedRun,
  experiment: Experiment,
  guest: SimulatedGuest,
  link: number,
): PolicyContext {
  const { objective, qemu, profileMs } = run.policy;
  const patched = qemu === 'patched';
  const profile: GuestProfile | null = profileMs === null ? null : profileOf(guest, profileMs);
  return {
    ...modelContext({
      objective,
      memoryBytes: guest.memoryBytes,
      linkBytesPerSec: link,
      maxBandwidthBytesPerSec: experiment.maxBandwidthBytesPerSec ?? QEMU_PARAMETERS.maxBandwidthBytesPerSec,
    }),
    // As on the testbed: QEMU on this host, its sockets within reach.
    shortensQueue: !patched,
    pacesPostcopy: patched,
    profile,
    pages: patched
      ? {
          pageSizeBytes: PAGE_BYTES,
          intervalMs: 200,
          syncMs: 1,
          dirtiedPages: 0,
          pendingPages: null,
          deferredPages: null,
          endsRound: null,
          round: null,
          window: null,
          pagesByHeat: pagesByHeatOf(guest, PAGE_BYTES),
          heatWindowMs: 200,
          watchedMs: 1500,
        }
      : null,
  };
}

/** One planned run. `goodputBytesPerSec`: as measured on that link; absent: as its rate gives. */
export function simulateRun(
  run: PlannedRun,
  experiment: Experiment,
  source: GuestSource,
  policy: Policy,
  setting: string | null = null,
  goodputBytesPerSec?: number,
): RunRecord {
  const guest = guestOf(source, run);
  const link = goodputBytesPerSec ?? tcpGoodputBytesPerSec(linkRateBytesPerSec(run.link));
  const simulated = simulateMigration({
    policy,
    context: contextOf(run, experiment, guest, link),
    guest,
    linkBytesPerSec: link,
    capMs: experiment.capMs,
  });
  return recordOf(run, simulated, guest, link, setting);
}

/** Everything that a model does not have is null: clients, coherence, the machine. */
function recordOf(
  { kind, guest: { name: guest }, link, policy, repeat }: PlannedRun,
  simulated: SimulatedRun,
  { memoryBytes, zeroBytes }: SimulatedGuest,
  linkBytesPerSec: number,
  setting: string | null,
): RunRecord {
  const { outcome, reason, capped, tmtMs, stopToResumeMs, silenceMs, transferredBytes, rounds } = simulated;
  const completed = outcome === 'completed';
  const floorBytes = memoryBytes - zeroBytes;
  return {
    schema: RUN_SCHEMA,
    kind,
    guest,
    link,
    policy: policy.name,
    setting,
    repeat,
    attempt: 0,
    startedAt: '1970-01-01T00:00:00.000Z',
    outcome,
    reason,
    capped,
    tmtMs,
    downtimeQemuMs: null,
    downtimeStopToResumeMs: stopToResumeMs,
    downtimeGuestMs: silenceMs,
    downtimeGuestAtLeastMs: silenceMs,
    downtimeForecastMs: null,
    transferredBytes: completed ? transferredBytes : null,
    rounds: completed ? rounds : null,
    usedPostcopy: simulated.usedPostcopy,
    waitedMs: simulated.waitedMs,
    floorBytes,
    floorMs: (floorBytes / linkBytesPerSec) * 1000,
    workPerSec: {
      before: 1,
      during: tmtMs === null ? null : Math.max(0, 1 - simulated.lostWorkMs / tmtMs),
      after: 1,
    },
    lostWorkMs: simulated.lostWorkMs,
    app: null,
    coherent: null,
    lostPages: null,
    lostBlocks: null,
    disturbances: [],
    stealRatio: null,
    proberGapMs: null,
    files: { trace: null, series: null, logs: [] },
  };
}
