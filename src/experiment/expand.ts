// SPDX-License-Identifier: Apache-2.0
// An experiment into its runs, in the order in which they are carried out.

import { SEARCH_REPEATS, searchPolicyName } from './oracle.ts';
import { cellKey, runKey, runSlug } from './run-key.ts';
import {
  CONTROL_GUEST_NAME,
  type Experiment,
  type ExperimentGuest,
  type ExperimentPolicy,
} from './schema.ts';
import type { RunRecord } from './run-record.ts';

export interface PlannedRun {
  /** `guest/link/policy/repeat`, unique in the plan; `runKey` of the run's record gives the same. */
  readonly key: string;
  /** `guest/link/policy`. */
  readonly cell: string;
  /** The key as the name of a directory. */
  readonly slug: string;
  readonly kind: RunRecord['kind'];
  readonly guest: ExperimentGuest;
  readonly link: string;
  readonly policy: ExperimentPolicy;
  readonly repeat: number;
  /** How long the guest runs in its workload before. */
  readonly settleMs: number;
  /** The experiment's plus the repeat: within a repeat all policies meet the same guest. */
  readonly seed: number;
}

/**
 * Guest by guest and link by link, so that what a machine does over hours meets all policies of a block alike. Within a
 * block the policies' order turns round with each repeat (A B C, C B A, A B C, ...), so that none always comes first or
 * after the same other. Control runs stand before the first run and after every N. With `oracle` among the policies a block
 * begins with its search: every one of `settings` (names of policies, known to whoever carries the experiment out).
 */
export function expandExperiment(experiment: Experiment, settings: readonly string[] = []): PlannedRun[] {
  const { guests, links, policies, repeats } = experiment;
  const search = policies
    .filter(({ source }) => source.kind === 'oracle')
    .flatMap(({ objective }) => settings.map((setting) => searchPolicy(setting, objective)));
  const runs = guests.flatMap((guest) =>
    links.flatMap((link) => [
      ...interleaved('search', guest, link, search, SEARCH_REPEATS, experiment),
      ...interleaved('cell', guest, link, policies, repeats, experiment),
    ]),
  );
  return withControls(runs, experiment);
}

function searchPolicy(setting: string, objective: ExperimentPolicy['objective']): ExperimentPolicy {
  return {
    name: searchPolicyName(setting),
    source: { kind: 'named', id: setting, scaled: false },
    objective,
    profileMs: null,
    qemu: 'stock',
  };
}

function interleaved(
  kind: PlannedRun['kind'],
  guest: ExperimentGuest,
  link: string,
  policies: readonly ExperimentPolicy[],
  repeats: number,
  experiment: Experiment,
): PlannedRun[] {
  const { seed } = experiment;
  const turned = policies.toReversed();
  return Array.from({ length: repeats }, (_, repeat) =>
    (repeat % 2 === 0 ? policies : turned).map((policy) =>
      plannedRun(kind, guest, link, policy, repeat, seed, settleOf(repeat, repeats, experiment)),
    ),
  ).flat();
}

/** Of n repeats the middles of n equal parts of the range: a guest that repeats itself is met at every part of its turn. */
function settleOf(repeat: number, repeats: number, { settleMs, settleToMs }: Experiment): number {
  return Math.round(settleMs + ((repeat + 0.5) / repeats) * (settleToMs - settleMs));
}

function withControls(runs: readonly PlannedRun[], experiment: Experiment): PlannedRun[] {
  const { control, links, seed, settleMs } = experiment;
  const [link] = links;
  if (control === null || link === undefined) return [...runs];
  const guest = controlGuest(experiment);
  const controlRun = (repeat: number) =>
    plannedRun('control', guest, link, control.policy, repeat, seed, settleMs);
  return [
    controlRun(0),
    ...runs.flatMap((run, index) =>
      (index + 1) % control.everyRuns === 0 ? [run, controlRun((index + 1) / control.everyRuns)] : [run],
    ),
  ];
}

// Always the same migration, or its figures would not show what the machine does: over the first link, and of the size of the
// smallest guest, for it says as much as a larger one and is over sooner.
function controlGuest({ guests }: Experiment): ExperimentGuest {
  return {
    name: CONTROL_GUEST_NAME,
    memoryBytes: Math.min(...guests.map(({ memoryBytes }) => memoryBytes)),
    vcpus: 1,
    workload: CONTROL_GUEST_NAME,
  };
}

function plannedRun(
  kind: PlannedRun['kind'],
  guest: ExperimentGuest,
  link: string,
  policy: ExperimentPolicy,
  repeat: number,
  seed: number,
  settleMs: number,
): PlannedRun {
  const names = { guest: guest.name, link, policy: policy.name, repeat };
  return {
    key: runKey(names),
    cell: cellKey(names.guest, link, names.policy),
    slug: runSlug(names.guest, link, names.policy, repeat),
    kind,
    guest,
    link,
    policy,
    repeat,
    settleMs,
    // A control run is the same one each time.
    seed: kind === 'control' ? seed : seed + repeat,
  };
}
