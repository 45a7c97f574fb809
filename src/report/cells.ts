// SPDX-License-Identifier: Apache-2.0
// Runs into cells: one (guest, link, policy) each, with its figures. Every policy has a cell in every setting, also
// without a single run, so that a gap is seen.

import { median } from 'simple-statistics';
import { groupBy } from '../common/index.ts';
import {
  cellIsHopeless,
  type RunRecord,
  type SearchedSetting,
  searchedSettings,
} from '../experiment/index.ts';
import type { Random } from '../common/index.ts';
import {
  countingRuns,
  isCompleted,
  keyOf,
  measured,
  ORACLE,
  policyOrder,
  type ResultSet,
} from './result-set.ts';
import { proportion, type Proportion, summarize, type Summary } from './statistics.ts';

/** Median TMT relative to that of the best known way through the same guest and link. */
export interface Regret {
  readonly ratio: number;
  readonly reference: string;
  /** `oracle`: the hindsight policy; `best`: the policy of this set with the least median TMT among those that always completed. */
  readonly kind: 'oracle' | 'best';
}

export interface Cell {
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  /** The attempts that count, one for each run that could be carried out. */
  readonly runs: readonly RunRecord[];
  readonly completion: Proportion | null;
  readonly cappedRuns: number;
  /** Its first runs were all capped and the others therefore not made: they would not have finished either. */
  readonly hopeless: boolean;
  readonly postcopyRuns: number;
  /** All attempts, those that do not count included. */
  readonly attempts: { readonly all: number; readonly disturbed: number; readonly failed: number };
  /** Counting attempts that were disturbed all the same: no undisturbed attempt was to be had. */
  readonly disturbedRuns: number;
  /** Of completed runs. */
  readonly tmtMs: Summary | null;
  readonly downtimeQemuMs: Summary | null;
  readonly downtimeStopToResumeMs: Summary | null;
  readonly downtimeGuestMs: Summary | null;
  readonly transferredBytes: Summary | null;
  /** TMT / floor of the same run. */
  readonly floorRatio: Summary | null;
  /** Bytes sent / memory that has to cross, of the same run. */
  readonly bytesRatio: Summary | null;
  /** 1 - work during / work before; of all counting runs: a migration that does not end slows the guest, too. */
  readonly slowdownRatio: Summary | null;
  /** What the guest did not get done because of the migration, as time at its rate before; of completed runs. */
  readonly lostWorkMs: Summary | null;
  /** During / before, of all counting runs. */
  readonly appP99Ratio: Summary | null;
  readonly appThroughputRatio: Summary | null;
  /** Sums over counting runs; null where no run could be asked. */
  readonly lostPages: number | null;
  readonly lostBlocks: number | null;
  readonly incoherentRuns: number;
  readonly regret: Regret | null;
}

/** A guest on a link: what policies are compared on. */
export interface Setting {
  readonly guest: string;
  readonly link: string;
  /** One for each policy, in the order of the experiment file. */
  readonly cells: readonly Cell[];
  /** Median over all counting runs. */
  readonly floorMs: number | null;
  /** What the search found, and what the oracle's own runs were made with; empty and null without an oracle. */
  readonly searched: readonly SearchedSetting[];
  readonly oracleSetting: string | null;
}

function over(part: number | null | undefined, whole: number | null | undefined): number | null {
  if (typeof part !== 'number' || typeof whole !== 'number' || whole <= 0) return null;
  return part / whole;
}

function slowdownOf({ workPerSec: { before, during } }: RunRecord): number | null {
  const rest = over(during, before);
  return rest === null ? null : 1 - rest;
}

function total(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}

/** True when every run that counts came through. */
export function alwaysCompleted(cell: Cell): boolean {
  return cell.completion?.rate === 1;
}

/** @param records all attempts of the one cell */
function cellOf(
  [guest, link, policy]: readonly [string, string, string],
  records: readonly RunRecord[],
  { maxAttempts, guestsByTurns = [] }: ResultSet,
  random: Random,
): Cell {
  const runs = countingRuns(records);
  const completed = runs.filter(isCompleted);
  const of = (
    among: readonly RunRecord[],
    value: (run: RunRecord) => number | null | undefined,
  ): Summary | null => summarize(measured(among, value), random);
  return {
    guest,
    link,
    policy,
    runs,
    completion: proportion(completed.length, runs.length),
    cappedRuns: runs.filter(({ capped }) => capped).length,
    hopeless: cellIsHopeless(records, maxAttempts),
    postcopyRuns: runs.filter(({ usedPostcopy }) => usedPostcopy).length,
    attempts: {
      all: records.length,
      disturbed: records.filter(({ disturbances }) => disturbances.length > 0).length,
      failed: records.filter(({ outcome }) => outcome === 'failed').length,
    },
    disturbedRuns: runs.filter(({ disturbances }) => disturbances.length > 0).length,
    tmtMs: of(completed, (run) => run.tmtMs),
    downtimeQemuMs: of(completed, (run) => run.downtimeQemuMs),
    downtimeStopToResumeMs: of(completed, (run) => run.downtimeStopToResumeMs),
    downtimeGuestMs: of(completed, (run) => run.downtimeGuestMs),
    transferredBytes: of(completed, (run) => run.transferredBytes),
    floorRatio: of(completed, (run) => over(run.tmtMs, run.floorMs)),
    bytesRatio: of(completed, (run) => over(run.transferredBytes, run.floorBytes)),
    slowdownRatio: guestsByTurns.includes(guest) ? null : of(runs, slowdownOf),
    lostWorkMs: guestsByTurns.includes(guest) ? null : of(completed, (run) => run.lostWorkMs),
    appP99Ratio: of(runs, ({ app }) => over(app?.during?.p99Ms, app?.before?.p99Ms)),
    appThroughputRatio: of(runs, ({ app }) => over(app?.during?.requestsPerSec, app?.before?.requestsPerSec)),
    lostPages: total(measured(runs, (run) => run.lostPages)),
    lostBlocks: total(measured(runs, (run) => run.lostBlocks)),
    incoherentRuns: runs.filter(({ coherent }) => coherent === false).length,
    regret: null,
  };
}

/** The cell that others of its setting are measured against, or null where none always completed. */
function referenceOf(cells: readonly Cell[]): { cell: Cell; kind: Regret['kind'] } | null {
  const candidates = cells.filter((cell) => alwaysCompleted(cell) && cell.tmtMs !== null);
  const oracle = candidates.find(({ policy }) => policy === ORACLE);
  if (oracle !== undefined) return { cell: oracle, kind: 'oracle' };
  const [best] = candidates.sort((a, b) => (a.tmtMs?.median ?? 0) - (b.tmtMs?.median ?? 0));
  return best === undefined ? null : { cell: best, kind: 'best' };
}

function withRegret(cells: readonly Cell[]): Cell[] {
  const reference = referenceOf(cells);
  return cells.map((cell) => {
    const ratio = over(cell.tmtMs?.median, reference?.cell.tmtMs?.median);
    if (reference === null || ratio === null) return cell;
    return { ...cell, regret: { ratio, reference: reference.cell.policy, kind: reference.kind } };
  });
}

/** All settings of a result set with all their cells. Control runs and the oracle's search are no cells. */
export function settingsOf(set: ResultSet, random: Random): Setting[] {
  const records = set.records.filter(({ kind }) => kind === 'cell');
  const policies = policyOrder(set);
  const inOrder = (names: readonly string[]): string[] => [...new Set(names)];
  const guests = inOrder(records.map(({ guest }) => guest));
  const links = inOrder(records.map(({ link }) => link));
  const groups = groupBy(records, ({ guest, link, policy }) => keyOf(guest, link, policy));
  return guests.flatMap((guest) =>
    links.flatMap((link) => {
      if (!records.some((record) => record.guest === guest && record.link === link)) return [];
      const cells = policies.map((policy) => {
        const group = groups.get(keyOf(guest, link, policy)) ?? [];
        return cellOf([guest, link, policy], group, set, random);
      });
      const floors = measured(
        cells.flatMap(({ runs }) => runs),
        ({ floorMs }) => floorMs,
      );
      const oracleRuns = cells.find(({ policy }) => policy === ORACLE)?.runs;
      return [
        {
          guest,
          link,
          cells: withRegret(cells),
          floorMs: floors.length === 0 ? null : median(floors),
          searched: searchedSettings(set.records, guest, link),
          oracleSetting: oracleRuns?.find(({ setting }) => setting !== null)?.setting ?? null,
        },
      ];
    }),
  );
}
