// SPDX-License-Identifier: Apache-2.0
// The oracle: the best fixed setting (moment and way of switching) for a guest and link, found by trying all of them and
// then run afresh beside the other policies, so that its figures are not those of the luckiest search run.

import { median } from 'simple-statistics';
import { groupBy } from '../common/index.ts';
import { latestAttempts } from './next-run.ts';
import type { RunRecord } from './run-record.ts';

/** The policy's name in experiment files, and of its runs. */
export const ORACLE = 'oracle';

/** How often each setting is tried. */
export const SEARCH_REPEATS = 3;

const SEPARATOR = '@';

/** What runs of the search at that setting are called. */
export function searchPolicyName(setting: string): string {
  return `${ORACLE}${SEPARATOR}${setting}`;
}

/** What the search found of one setting: medians over its runs that count. */
export interface SearchedSetting {
  readonly setting: string;
  readonly runs: number;
  /** All of them completed, with the guest whole. */
  readonly sure: boolean;
  readonly tmtMs: number | null;
  readonly downtimeGuestMs: number | null;
}

/** The settings that were searched for that guest and link, in the order of the records. */
export function searchedSettings(
  records: readonly RunRecord[],
  guest: string,
  link: string,
): SearchedSetting[] {
  const search = latestAttempts(
    records.filter((run) => run.kind === 'search' && run.guest === guest && run.link === link),
  );
  return [...groupBy(search, ({ policy }) => policy)].map(([policy, runs]) => ({
    setting: policy.slice(ORACLE.length + SEPARATOR.length),
    runs: runs.length,
    sure: runs.every(({ outcome, coherent }) => outcome === 'completed' && coherent !== false),
    tmtMs: medianOf(runs.map(({ tmtMs }) => tmtMs)),
    downtimeGuestMs: medianOf(runs.map(({ downtimeGuestMs }) => downtimeGuestMs)),
  }));
}

function medianOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}

/**
 * The best setting: of those that always completed and left the guest silent no longer than the limit, the one with the
 * least total time; where none stayed within the limit, the one with the least silence. By medians. Null where none of
 * them always completed.
 */
export function bestSetting(settings: readonly SearchedSetting[], maxDowntimeMs: number): string | null {
  const sure = settings.flatMap(({ setting, sure, tmtMs, downtimeGuestMs }) =>
    sure && tmtMs !== null && downtimeGuestMs !== null ? [{ setting, tmtMs, downtimeGuestMs }] : [],
  );
  const within = sure.filter(({ downtimeGuestMs }) => downtimeGuestMs <= maxDowntimeMs);
  const [best] =
    within.length > 0
      ? within.toSorted((a, b) => a.tmtMs - b.tmtMs)
      : sure.toSorted((a, b) => a.downtimeGuestMs - b.downtimeGuestMs);
  return best?.setting ?? null;
}
