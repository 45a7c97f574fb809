// SPDX-License-Identifier: Apache-2.0
// What a report is made of, and which of its attempts count.

import {
  type Bound,
  type ExperimentPolicy,
  latestAttempts,
  ORACLE,
  type RunRecord,
} from '../experiment/index.ts';
import type { Reason } from './claims.ts';

/** One experiment carried out once, on one machine. */
export interface ResultSet {
  readonly name: string;
  readonly title: string;
  /** What the experiment asks, in a sentence or a few. */
  readonly about: string;
  /** Conditions by name: processor, kernel, versions, whatever a reader needs to judge the figures. */
  readonly machine: Readonly<Record<string, string | number | null>>;
  /** In the order of the experiment file. */
  readonly policies: readonly string[];
  /** Those of them that are the adaptive policy, by whatever name, limits and QEMU. */
  readonly ours: readonly string[];
  /** Guests that are busy and quiet by turns: the work in a stretch before the migration is no measure of what it cost them. */
  readonly guestsByTurns?: readonly string[];
  readonly records: readonly RunRecord[];
  /** What the experiment asks of its figures; nothing when absent. */
  readonly bounds?: readonly Bound[];
  /** Why claims do not hold, for those that do not. */
  readonly reasons?: readonly Reason[];
  /** How often a run was carried out that the machine disturbed; the experiments' default when absent. */
  readonly maxAttempts?: number;
  /** How to do it again, as lines for a shell. */
  readonly commands?: string;
}

export const ADAPTIVE = 'adaptive';
/** Knows the best moment in hindsight: a bound for the others, not a policy anybody could run. */
export { ORACLE };
/** Stock pre-copy without help. */
export const STOCK_PRECOPY = 'qemu-default';

/** The names of those that are the adaptive policy. */
export function adaptivePolicies(policies: readonly ExperimentPolicy[]): string[] {
  return policies
    .filter(({ source }) => source.kind === 'named' && source.id === ADAPTIVE)
    .map(({ name }) => name);
}

/** A key that no choice of names can make ambiguous. */
export function keyOf(...parts: readonly (string | number)[]): string {
  return JSON.stringify(parts);
}

/**
 * The attempts that figures are made of: of each run the one that counts, unless no attempt could be carried out (which
 * says something of the machine, nothing of the policy).
 */
export function countingRuns(records: readonly RunRecord[]): RunRecord[] {
  return latestAttempts(records).filter(({ outcome }) => outcome !== 'failed');
}

export function isCompleted(run: RunRecord): boolean {
  return run.outcome === 'completed' && !run.capped;
}

/** The values that were measured. */
export function measured(
  runs: readonly RunRecord[],
  value: (run: RunRecord) => number | null | undefined,
): number[] {
  return runs.map(value).filter((each): each is number => typeof each === 'number' && Number.isFinite(each));
}

/** The policies in the order of the experiment file, then those that only the records know. */
export function policyOrder(set: ResultSet): string[] {
  const seen = set.records.filter(({ kind }) => kind === 'cell').map(({ policy }) => policy);
  return [...new Set([...set.policies, ...seen])];
}
