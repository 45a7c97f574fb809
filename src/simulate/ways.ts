// SPDX-License-Identifier: Apache-2.0
// What every way of migrating a guest would cost: each way in the model, at each bandwidth and maximum downtime, with a band
// that holds the truth nine times out of ten.

import { DEFAULT_WEIGHTS, policyByName } from '../decide/index.ts';
import { readProfile, zeroBytesOf } from '../forecast/index.ts';
import { formatMs, formatRate } from '../common/index.ts';
import type { CostWeights, Estimate, GuestProfile, Objective, PolicyContext } from '../model/index.ts';
import { modelContext } from './context.ts';
import { guestOfCurve, type SimulatedGuest } from './guest.ts';
import { simulateMigration } from './migration.ts';
import type { SimulatedRun } from './simulation.ts';

/** The ways in the order in which they are shown; the policies that stand for them. */
export const WAYS: readonly { readonly way: string; readonly policy: string; readonly postcopy: boolean }[] =
  [
    { way: 'pre-copy', policy: 'qemu-default', postcopy: false },
    { way: 'auto-converge', policy: 'auto-converge', postcopy: false },
    { way: 'hybrid', policy: 'hybrid-1', postcopy: true },
    { way: 'adaptive', policy: 'adaptive', postcopy: true },
  ];

export interface WaysInputs {
  readonly profile: GuestProfile;
  /** What one stream carries. */
  readonly linksBytesPerSec: readonly number[];
  readonly maxDowntimesMs: readonly number[];
  readonly mayPostcopy: boolean;
  /** A switch to post-copy finds the send queue short. */
  readonly shortensQueue: boolean;
  readonly weights?: CostWeights;
  /** How a guest without a period goes on: by this model of its pace (ets, arima, ...); absent: as it was seen. */
  readonly seriesModel?: string;
  /** A pre-copy that has not finished by then does not converge. */
  readonly capMs?: number;
}

export interface WayEstimate {
  readonly way: string;
  readonly linkBytesPerSec: number;
  readonly maxDowntimeMs: number;
  readonly converges: boolean;
  /** Figures of a way that does not converge are null. */
  readonly tmtMs: Estimate | null;
  readonly downtimeMs: Estimate | null;
  readonly bytes: Estimate | null;
  /** Guest work during the migration over that before it. */
  readonly workRatio: number | null;
  readonly usedPostcopy: boolean;
  /** Keeps the maximum downtime. */
  readonly fits: boolean;
  /** By the weights; null where it does not converge. */
  readonly costMs: number | null;
}

// A guest goes on as it was seen give or take this much, a link carries what it is said to give or take that much, and the
// model itself is off by up to a seventh of what is still to come. Fitted at the end of round 1, where they hold 88.8 % of the
// runs that they were fitted to (bench/README.md); before a migration it has not been measured how many they hold.
const GUEST_ERROR_RATIO = 0.1;
const LINK_ERROR_RATIO = 0.02;
const MODEL_ERROR_RATIO = 0.15;
const FIGURE_ERROR_RATIO = 0.02;

const DEFAULT_CAP_MS = 30 * 60_000;

/** A guest that dirties so many times as much. */
export function busier(guest: SimulatedGuest, by: number): SimulatedGuest {
  return {
    ...guest,
    parts: guest.parts.map((part) => ({
      ...part,
      dirtyBetween: (fromMs, toMs) => Math.min(part.bytes, part.dirtyBetween(fromMs, toMs) * by),
    })),
  };
}

/**
 * From the least to the most of the runs, and the model's own error: a share of what lies after `since`, and a small one of the
 * whole, for what is measured is not exact either.
 */
export function bandOf(figures: readonly number[], since = 0): Estimate {
  const [expected = 0] = figures;
  const rest = figures.map((figure) => Math.max(0, figure - since));
  const slack = FIGURE_ERROR_RATIO * expected;
  return {
    expected,
    low: Math.max(0, since + Math.min(...rest) / (1 + MODEL_ERROR_RATIO) - slack),
    high: since + Math.max(...rest) * (1 + MODEL_ERROR_RATIO) + slack,
  };
}

/** As it is, on a better day and on a worse one. */
export function runThrice(
  run: (guest: SimulatedGuest, linkBytesPerSec: number) => SimulatedRun,
  guest: SimulatedGuest,
  linkBytesPerSec: number,
): readonly [SimulatedRun, SimulatedRun, SimulatedRun] {
  return [
    run(guest, linkBytesPerSec),
    run(busier(guest, 1 - GUEST_ERROR_RATIO), linkBytesPerSec * (1 + LINK_ERROR_RATIO)),
    run(busier(guest, 1 + GUEST_ERROR_RATIO), linkBytesPerSec * (1 - LINK_ERROR_RATIO)),
  ];
}

function contextOf(
  { profile, mayPostcopy, shortensQueue, weights }: WaysInputs,
  linkBytesPerSec: number,
  maxDowntimeMs: number,
): PolicyContext {
  const objective: Objective = {
    maxDowntimeMs,
    allowDowntimeMs: null,
    deadlineMs: null,
    postcopy: mayPostcopy ? 'allowed' : 'forbidden',
    ...(weights === undefined ? {} : { weights }),
  };
  const { memoryBytes } = profile;
  return {
    ...modelContext({ objective, memoryBytes, linkBytesPerSec, maxBandwidthBytesPerSec: 0 }),
    shortensQueue,
    profile,
  };
}

/** QEMU's own threads take CPU time, too: with several vCPUs this says too much, and throttling seems to bite sooner. */
function busyRatioOf({ samples }: GuestProfile): number {
  const ratios = samples.flatMap(({ activity }) => activity?.cpuRatio ?? []);
  if (ratios.length === 0) return 1;
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  return Math.min(1, Math.max(0.02, mean));
}

/** Null where the profile teaches nothing. */
export function estimateWays(inputs: WaysInputs): WayEstimate[] | null {
  const known = readProfile(inputs.profile, inputs.seriesModel);
  if (known === null) return null;
  const { memoryBytes } = inputs.profile;
  const guest = guestOfCurve(
    memoryBytes,
    zeroBytesOf(inputs.profile),
    known.curve,
    known.pace,
    busyRatioOf(inputs.profile),
  );
  const capMs = inputs.capMs ?? DEFAULT_CAP_MS;
  return inputs.linksBytesPerSec.flatMap((link) =>
    inputs.maxDowntimesMs.flatMap((maxDowntimeMs) =>
      WAYS.filter(({ postcopy, policy }) => inputs.mayPostcopy || !postcopy || policy === 'adaptive').map(
        ({ way, policy: name }) => {
          const policy = policyByName(name);
          if (policy === undefined) throw new Error(`there is no policy ${name}`);
          const context = contextOf(inputs, link, maxDowntimeMs);
          const runs = runThrice(
            (each, linkBytesPerSec) =>
              simulateMigration({ policy, context, guest: each, linkBytesPerSec, capMs }),
            guest,
            link,
          );
          return estimateOf(way, link, maxDowntimeMs, runs, inputs.weights ?? DEFAULT_WEIGHTS);
        },
      ),
    ),
  );
}

function estimateOf(
  way: string,
  linkBytesPerSec: number,
  maxDowntimeMs: number,
  runs: readonly SimulatedRun[],
  weights: CostWeights,
): WayEstimate {
  const [now] = runs;
  const base = { way, linkBytesPerSec, maxDowntimeMs, usedPostcopy: now?.usedPostcopy === true };
  if (now === undefined || now.tmtMs === null || now.stopToResumeMs === null) {
    const none = { tmtMs: null, downtimeMs: null, bytes: null, workRatio: null, costMs: null };
    return { ...base, ...none, converges: false, fits: false };
  }
  const completed = runs.filter(({ outcome }) => outcome === 'completed');
  const of = (figure: (run: SimulatedRun) => number | null): Estimate =>
    bandOf(completed.flatMap((run) => figure(run) ?? []));
  const costMs =
    weights.tmt * now.tmtMs +
    weights.downtime * now.stopToResumeMs +
    weights.slowdown * Math.max(0, now.lostWorkMs - now.stopToResumeMs) +
    (weights.bytes * now.transferredBytes) / 1e6;
  return {
    ...base,
    converges: true,
    tmtMs: of(({ tmtMs }) => tmtMs),
    downtimeMs: of(({ stopToResumeMs }) => stopToResumeMs),
    bytes: of(({ transferredBytes }) => transferredBytes),
    workRatio: Math.max(0, 1 - now.lostWorkMs / now.tmtMs),
    fits: now.stopToResumeMs <= maxDowntimeMs,
    costMs,
  };
}

/** The one to take, in a sentence. */
export function recommendation(estimates: readonly WayEstimate[]): string {
  const [first] = estimates;
  if (first === undefined) return 'nothing was asked for';
  const here = estimates.filter(
    ({ linkBytesPerSec, maxDowntimeMs }) =>
      linkBytesPerSec === first.linkBytesPerSec && maxDowntimeMs === first.maxDowntimeMs,
  );
  const fitting = here.filter(({ fits }) => fits);
  const best = fitting.reduce<WayEstimate | undefined>(
    (least, each) => ((each.costMs ?? Infinity) < (least?.costMs ?? Infinity) ? each : least),
    undefined,
  );
  const where = `at ${formatRate(first.linkBytesPerSec)} with at most ${formatMs(first.maxDowntimeMs)} of downtime`;
  if (best !== undefined) {
    const preferred = here.find(({ way, fits }) => way === 'adaptive' && fits);
    const chosen =
      preferred !== undefined && (preferred.costMs ?? Infinity) <= 1.05 * (best.costMs ?? 0)
        ? preferred
        : best;
    return (
      `take ${chosen.way} ${where}: about ${formatMs(chosen.tmtMs?.expected ?? 0)} in total, ` +
      `${formatMs(chosen.downtimeMs?.expected ?? 0)} of downtime${chosen.usedPostcopy ? ', by post-copy' : ''}`
    );
  }
  const least = here
    .filter(({ converges }) => converges)
    .sort((a, b) => (a.downtimeMs?.expected ?? 0) - (b.downtimeMs?.expected ?? 0))[0];
  return least === undefined
    ? `no way completes ${where}: allow post-copy or more downtime, or find a faster link`
    : `no way keeps the limit ${where}; ${least.way} comes nearest with ${formatMs(least.downtimeMs?.expected ?? 0)}`;
}
