// SPDX-License-Identifier: Apache-2.0
// Ours beside each other policy of a setting: how many times its total time, and the paired difference of
// runs that were made one after the other in the same repeat, which takes the machine's slow drifts out.

import type { RunRecord } from '../experiment/index.ts';
import type { Cell, Setting } from './cells.ts';
import type { Random } from '../common/index.ts';
import { isCompleted } from './result-set.ts';
import { type PairedDifference, pairedDifference } from './significance.ts';
import { type Ratio, ratioOfMedians } from './statistics.ts';

export interface Against {
  readonly guest: string;
  readonly link: string;
  /** Ours: the adaptive policy, by the name that the experiment gives it. */
  readonly policy: string;
  readonly rival: string;
  /** Median TMT of ours / that of the rival. */
  readonly tmtRatio: Ratio | null;
  /** Ours - rival, over repeats that both completed. */
  readonly tmtDifferenceMs: PairedDifference | null;
  readonly downtimeGuestDifferenceMs: PairedDifference | null;
}

/** Values of runs of the same repeat; only where both have one. The runs are of one guest and link each. */
export function pairsOf(
  first: readonly RunRecord[],
  second: readonly RunRecord[],
  value: (run: RunRecord) => number | null,
): { first: number; second: number }[] {
  const byRepeat = new Map(second.map((run) => [run.repeat, run]));
  return first.flatMap((run) => {
    const other = byRepeat.get(run.repeat);
    const a = value(run);
    const b = other === undefined ? null : value(other);
    return a === null || b === null ? [] : [{ first: a, second: b }];
  });
}

function againstRival(ours: Cell, rival: Cell, random: Random): Against {
  const own = ours.runs.filter(isCompleted);
  const others = rival.runs.filter(isCompleted);
  return {
    guest: rival.guest,
    link: rival.link,
    policy: ours.policy,
    rival: rival.policy,
    tmtRatio: ratioOfMedians(ours.tmtMs?.values ?? [], rival.tmtMs?.values ?? [], random),
    tmtDifferenceMs: pairedDifference(
      pairsOf(others, own, ({ tmtMs }) => tmtMs),
      random,
    ),
    downtimeGuestDifferenceMs: pairedDifference(
      pairsOf(others, own, ({ downtimeGuestMs }) => downtimeGuestMs),
      random,
    ),
  };
}

/** Each of ours against every other policy of every setting, where they can be compared at all. */
export function againstRivals(
  settings: readonly Setting[],
  ours: readonly string[],
  random: Random,
): Against[] {
  return settings.flatMap(({ cells }) => {
    const measured = cells.filter(({ tmtMs }) => tmtMs !== null);
    return measured
      .filter(({ policy }) => ours.includes(policy))
      .flatMap((own) =>
        measured.filter((cell) => cell !== own).map((rival) => againstRival(own, rival, random)),
      );
  });
}
