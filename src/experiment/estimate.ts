// SPDX-License-Identifier: Apache-2.0
// How long an experiment will take, before anything is run.

import { groupBy } from '../common/index.ts';
import { expandExperiment, type PlannedRun } from './expand.ts';
import { HOPELESS_RUNS } from './next-run.ts';
import type { Experiment, ExperimentGuest } from './schema.ts';

export interface EstimateOptions {
  /** How long one TCP stream takes for the guest's memory over that link. */
  readonly floorMs: (guest: ExperimentGuest, link: string) => number;
  /** From the start of the two QEMUs to a guest in its workload, and taking all down again. */
  readonly bootMs: number;
  /** How long the guest is watched after the migration, checks included; absent: as long as before it. */
  readonly afterMs?: number;
}

export interface Estimate {
  readonly lowerMs: number;
  readonly upperMs: number;
}

// A guess: a migration that ends at all sends its memory at most three times. The published KubeVirt VEP 291 runs took
// 112 s in the middle and 161 s at worst, with a floor of 77 s.
const SLOW_FLOORS = 3;

const NEVER_CAPPED = 'adaptive';

/**
 * A lower and an upper estimate; attempts that have to be repeated are not in it. A run takes
 *
 *     boot + settle + min(cap, migration) + after
 *
 * and a cell's runs either all end in 1 to 3 floors, or, unless the policy is `adaptive`, hit the cap twice, whereupon
 * the rest is not run. The lower estimate takes for each cell what is over soonest, the upper what takes longest.
 *
 * Five repeats, boot 10 s, settle and after 2 s, floor 40 s, cap 120 s: a cell takes 5 x 54 = 270 s when it ends at the
 * floor, 5 x 134 = 670 s when it ends at the cap's edge, and 2 x 134 = 268 s when it is given up: 268 to 670 s.
 */
export function estimateMs(
  experiment: Experiment,
  options: EstimateOptions,
  plan: readonly PlannedRun[] = expandExperiment(experiment),
): Estimate {
  const { capMs } = experiment;
  const settleMs = (experiment.settleMs + experiment.settleToMs) / 2;
  const aroundMs = options.bootMs + settleMs + (options.afterMs ?? settleMs);
  let lowerMs = 0;
  let upperMs = 0;
  for (const runs of groupBy(plan, ({ cell }) => cell).values()) {
    const [first] = runs;
    if (first === undefined) continue;
    const floorMs = options.floorMs(first.guest, first.link);
    const cellMs = [1, SLOW_FLOORS].map(
      (floors) => runs.length * (aroundMs + Math.min(capMs, floors * floorMs)),
    );
    if (mayBeGivenUp(first)) cellMs.push(Math.min(runs.length, HOPELESS_RUNS) * (aroundMs + capMs));
    lowerMs += Math.min(...cellMs);
    upperMs += Math.max(...cellMs);
  }
  return { lowerMs, upperMs };
}

function mayBeGivenUp({ kind, policy: { source } }: PlannedRun): boolean {
  return kind !== 'control' && !(source.kind === 'named' && source.id === NEVER_CAPPED);
}
