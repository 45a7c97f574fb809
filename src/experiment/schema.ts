// SPDX-License-Identifier: Apache-2.0
// An experiment as values: everything resolved, units in the names, null where the file leaves something out. The file
// that people write is read in parse.ts.

import type { Objective } from '../model/index.ts';

export const EXPERIMENT_SCHEMA = 'slackwater/experiment@1';

/** The guest of control runs. No guest of an experiment may have this name, so that a key says which run is meant. */
export const CONTROL_GUEST_NAME = 'idle';

export interface ExperimentGuest {
  /** Unique in the experiment. */
  readonly name: string;
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** What runs in it: a name that whoever carries the experiment out knows, or a file, from the experiment's own place. */
  readonly workload: string;
}

/** Where a policy comes from. `scaled`: its times are to be multiplied by `scaledTimeFactor` of the guest and link. */
export type PolicySource =
  | { readonly kind: 'named'; readonly id: string; readonly scaled: boolean }
  /** The best fixed setting, found by a search before the guest's other runs. */
  | { readonly kind: 'oracle' }
  /** A module, as written: relative to the experiment file. */
  | { readonly kind: 'file'; readonly path: string };

export type QemuBuild = 'stock' | 'patched';

export interface ExperimentPolicy {
  /** Unique in the experiment; what records and reports call it. */
  readonly name: string;
  readonly source: PolicySource;
  /** The experiment's objective with this policy's own overrides. */
  readonly objective: Objective;
  /** How long the guest is watched before the migration; null: not at all. */
  readonly profileMs: number | null;
  /** Which QEMU its guests run on: the machine's own, or the one with the project's patch series. */
  readonly qemu: QemuBuild;
}

/** One of the two real machines that a guest migrates between. */
export interface MigrationHost {
  /** What one would give to ssh. */
  readonly ssh: string;
  readonly nic: string;
  /** Of that NIC: IPv4 or IPv6. */
  readonly address: string;
  readonly qemu: string;
}

/** Real machines in place of namespaces; all on one network, and none of them twice. */
export interface ExperimentHosts {
  readonly source: MigrationHost;
  readonly destination: MigrationHost;
  /** From where the guest is asked; IPv4. */
  readonly client: { readonly ssh: string; readonly address: string };
  /** IPv4 with prefix length, such as 192.0.2.10/24; the client is in that network. */
  readonly guest: { readonly address: string };
}

/** Migrations of an idle guest that measure the machine's own noise: one before the first run, one after every N. */
export interface ControlPlan {
  readonly everyRuns: number;
  readonly policy: ExperimentPolicy;
}

/** What the medians of these guests under that policy are to keep; null: nothing is asked of that figure. */
export interface Bound {
  readonly guests: readonly string[];
  readonly policy: string;
  /** Total migration time at most so many times the floor of the same run. */
  readonly floorRatio: number | null;
  /** Bytes sent at most so many times the memory that has to cross. */
  readonly bytesRatio: number | null;
  readonly downtimeGuestMs: number | null;
  readonly downtimeStopToResumeMs: number | null;
  /** Lost work at most so many times that under another policy. */
  readonly lostWork: { readonly ratio: number; readonly of: string } | null;
  /** No run may use post-copy. */
  readonly isByPrecopy: boolean;
}

export interface Experiment {
  readonly schema: typeof EXPERIMENT_SCHEMA;
  readonly name: string;
  readonly title: string;
  readonly about: string | null;
  readonly guests: readonly ExperimentGuest[];
  /** Names or rates, as written. */
  readonly links: readonly string[];
  readonly policies: readonly ExperimentPolicy[];
  readonly objective: Objective;
  /** Given to QEMU as max-bandwidth in every run. */
  readonly maxBandwidthBytesPerSec: number | null;
  readonly repeats: number;
  /** A pre-copy that has not finished by then is given up. */
  readonly capMs: number;
  /** How often a run is carried out that the machine disturbs. */
  readonly maxAttempts: number;
  /** How long the guest runs in its workload before the migration; of a range the repeats are spread over it evenly. */
  readonly settleMs: number;
  /** The end of the range; the same as `settleMs` where all repeats wait as long. */
  readonly settleToMs: number;
  readonly seed: number;
  readonly control: ControlPlan | null;
  /** Null: namespaces on one machine. */
  readonly hosts: ExperimentHosts | null;
  /** Empty: the report judges by what is claimed of the adaptive policy alone. */
  readonly bounds: readonly Bound[];
}
