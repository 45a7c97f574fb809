// SPDX-License-Identifier: Apache-2.0
// What is claimed of the adaptive policy, checked cell by cell, and for each QEMU that it is run on. A claim that does not hold is
// red and says by how much; one that the records cannot decide is open and says why. Nothing is averaged over cells, where a loss
// could hide.

import { formatMs } from '../common/index.ts';
import { alwaysCompleted, type Cell, type Setting } from './cells.ts';
import type { AdaptiveClaim, Claim } from './claims.ts';
import { count, formatChange, formatInterval, formatRatio } from './format.ts';
import type { Random } from '../common/index.ts';
import { ORACLE, STOCK_PRECOPY } from './result-set.ts';
import { overlaps, ratioOfMedians, type Summary } from './statistics.ts';

export interface Verdict {
  readonly guest: string;
  readonly link: string;
  /** By the name that the experiment gives it; of a claim on the adaptive policy one that is it. */
  readonly policy: string;
  readonly claim: Claim;
  readonly state: 'green' | 'red' | 'open';
  readonly text: string;
  /** Why it does not hold, where somebody has found out; null: nobody has, or it holds. */
  readonly reason: string | null;
  /** What `text` says, with units in the names. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** What pre-copy may cost more at most, where it converges. */
export const MAX_TMT_RATIO = 1.03;

/** Fewer runs have no interval worth the name. */
export const LEAST_RUNS = 3;

/** What is held against the others, and what it is held against. */
interface Contest {
  readonly own: Cell;
  readonly rivals: readonly Cell[];
}

export type Judgement = Pick<Verdict, 'state' | 'text' | 'numbers'>;

export function open(text: string): Judgement {
  return { state: 'open', text, numbers: {} };
}

/** "5.23 s (5.05 s to 5.41 s)" */
function inWords(summary: Summary): string {
  return `${formatMs(summary.median)} (${formatInterval(summary.median95, formatMs)})`;
}

/** A rival is ranked once it completed at least half of its runs: to demand all would spare the adaptive policy rivals. */
function isRanked(cell: Cell): boolean {
  return (cell.completion?.rate ?? 0) >= 0.5;
}

function judgeLowest(contest: Contest, of: (cell: Cell) => Summary | null): Judgement {
  const own = of(contest.own);
  if (own === null || own.n < LEAST_RUNS) {
    return open(`measured in ${count(own?.n ?? 0, 'run')}; ${LEAST_RUNS} are needed`);
  }
  const rivals = contest.rivals
    .filter(isRanked)
    .flatMap((cell) => {
      const summary = of(cell);
      return summary === null ? [] : [{ policy: cell.policy, summary }];
    })
    .sort((a, b) => a.summary.median - b.summary.median);
  const [best] = rivals;
  const numbers = {
    adaptiveMs: own.median,
    adaptiveLowMs: own.median95.low,
    adaptiveHighMs: own.median95.high,
  };
  if (best === undefined) {
    return { state: 'green', text: `${inWords(own)}; no other policy finished`, numbers };
  }
  const { policy, summary } = best;
  const both = {
    ...numbers,
    rivalMs: summary.median,
    rivalLowMs: summary.median95.low,
    rivalHighMs: summary.median95.high,
  };
  if (own.median <= summary.median) {
    return {
      state: 'green',
      text: `${inWords(own)}; next is ${policy} with ${inWords(summary)}`,
      numbers: both,
    };
  }
  const change = summary.median > 0 ? ` (${formatChange(own.median / summary.median - 1)})` : '';
  return overlaps(own.median95, summary.median95)
    ? {
        state: 'green',
        text: `${inWords(own)}, not told apart from the lowest, ${policy} with ${inWords(summary)}: the intervals overlap`,
        numbers: both,
      }
    : {
        state: 'red',
        text: `${inWords(own)}, while ${policy} has ${inWords(summary)}: ${formatMs(own.median - summary.median)} more${change}`,
        numbers: both,
      };
}

function judgeAgainstPrecopy(own: Cell, precopy: Cell, random: Random): Judgement {
  const fewest = Math.min(own.tmtMs?.n ?? 0, precopy.tmtMs?.n ?? 0);
  if (own.tmtMs === null || precopy.tmtMs === null || fewest < LEAST_RUNS) {
    return open(`measured in ${count(fewest, 'run')}; ${LEAST_RUNS} are needed`);
  }
  const ratio = ratioOfMedians(own.tmtMs.values, precopy.tmtMs.values, random);
  if (ratio === null) return open(`the TMT of ${STOCK_PRECOPY} is not above zero`);
  const fits = ratio.ratio95.high <= MAX_TMT_RATIO;
  return {
    state: fits ? 'green' : 'red',
    text:
      `${formatRatio3(ratio.ratio)} times ${STOCK_PRECOPY} (${formatInterval(ratio.ratio95, formatRatio3)}), ` +
      `${fits ? 'within' : 'and the upper end is above'} ${formatRatio(MAX_TMT_RATIO)}: ` +
      `${formatMs(own.tmtMs.median)} against ${formatMs(precopy.tmtMs.median)}`,
    numbers: {
      ratio: ratio.ratio,
      ratioLow: ratio.ratio95.low,
      ratioHigh: ratio.ratio95.high,
      adaptiveMs: own.tmtMs.median,
      precopyMs: precopy.tmtMs.median,
    },
  };
}

/** With the third digit, where 1.03 is the limit. */
function formatRatio3(ratio: number): string {
  return ratio.toFixed(3);
}

/** Not finishing cannot be made up for by a good median of the rest. */
export function unfinished(own: Cell): Judgement | null {
  const { completion } = own;
  if (completion === null || completion.rate === 1) return null;
  const { successes, n } = completion;
  const capped = own.cappedRuns > 0 ? ` (${own.cappedRuns} ended by the time cap)` : '';
  return {
    state: 'red',
    text: `did not finish ${count(n - successes, 'run')} of ${n}${capped}`,
    numbers: { completedRuns: successes, runs: n },
  };
}

function checkOwn(setting: Setting, contest: Contest, random: Random): Verdict[] {
  const { own } = contest;
  const verdict = (claim: AdaptiveClaim, judgement: Judgement): Verdict => ({
    guest: setting.guest,
    link: setting.link,
    policy: own.policy,
    claim,
    reason: null,
    ...judgement,
  });
  const precopy = setting.cells.find(({ policy }) => policy === STOCK_PRECOPY);
  if (precopy === undefined || precopy.runs.length === 0) {
    return [
      verdict('lowest-tmt', open(`whether pre-copy converges is not known: no run of ${STOCK_PRECOPY}`)),
    ];
  }
  const claims: readonly AdaptiveClaim[] = alwaysCompleted(precopy)
    ? ['no-slower-than-precopy']
    : ['lowest-tmt', 'lowest-client-downtime'];
  if (own.runs.length === 0) return claims.map((claim) => verdict(claim, open('no run')));
  const failure = unfinished(own);
  return claims.map((claim) => {
    if (failure !== null) return verdict(claim, failure);
    switch (claim) {
      case 'lowest-tmt':
        return verdict(
          claim,
          judgeLowest(contest, ({ tmtMs }) => tmtMs),
        );
      case 'lowest-client-downtime':
        return verdict(
          claim,
          judgeLowest(contest, ({ downtimeGuestMs }) => downtimeGuestMs),
        );
      case 'no-slower-than-precopy':
        return verdict(claim, judgeAgainstPrecopy(own, precopy, random));
    }
  });
}

/**
 * Every claim for every guest, link and policy of ours, in their order; none where the adaptive policy is not in the set. Rivals are
 * the other policies: ours on another QEMU or with other limits is judged by itself, and the oracle is no policy.
 */
export function checkClaims(
  settings: readonly Setting[],
  ours: readonly string[],
  random: Random,
): Verdict[] {
  return settings.flatMap((setting) => {
    const rivals = setting.cells.filter(({ policy }) => !ours.includes(policy) && policy !== ORACLE);
    return setting.cells
      .filter(({ policy }) => ours.includes(policy))
      .flatMap((own) => checkOwn(setting, { own, rivals }, random));
  });
}
