// SPDX-License-Identifier: Apache-2.0
// What an experiment asks of its figures, checked by their medians, cell by cell.

import { formatMs } from '../common/index.ts';
import type { Bound } from '../experiment/index.ts';
import type { Cell, Setting } from './cells.ts';
import type { BoundClaim } from './claims.ts';
import { count, formatInterval } from './format.ts';
import type { Summary } from './statistics.ts';
import { type Judgement, LEAST_RUNS, open, unfinished, type Verdict } from './verdict.ts';

/** Bounds of a few per cent are told apart by the third digit. */
function formatMultiple(ratio: number): string {
  return ratio.toFixed(3);
}

function judge(own: Summary | null, most: number, unit: 'Ms' | 'Ratio', than = ''): Judgement {
  if (own === null || own.n < LEAST_RUNS) {
    return open(`measured in ${count(own?.n ?? 0, 'run')}; ${LEAST_RUNS} are needed`);
  }
  const format = unit === 'Ms' ? formatMs : formatMultiple;
  const keeps = own.median <= most;
  return {
    state: keeps ? 'green' : 'red',
    text:
      `${format(own.median)} (${formatInterval(own.median95, format)}), ` +
      `${keeps ? 'within' : 'and that is above'} ${format(most)}${than}`,
    numbers: {
      [`median${unit}`]: own.median,
      [`medianLow${unit}`]: own.median95.low,
      [`medianHigh${unit}`]: own.median95.high,
      [`bound${unit}`]: most,
    },
  };
}

function judgeLostWork(own: Cell, { ratio, of }: NonNullable<Bound['lostWork']>, cells: readonly Cell[]) {
  const rival = cells.find(({ policy }) => policy === of)?.lostWorkMs ?? null;
  if (rival === null || rival.n < LEAST_RUNS) {
    return open(`of ${of} it was measured in ${count(rival?.n ?? 0, 'run')}; ${LEAST_RUNS} are needed`);
  }
  const than = `, ${formatMultiple(ratio)} times the ${formatMs(rival.median)} of ${of}`;
  return judge(own.lostWorkMs, rival.median * ratio, 'Ms', than);
}

function judgeByPrecopy({ runs, postcopyRuns }: Cell): Judgement {
  if (runs.length === 0) return open('no run');
  return {
    state: postcopyRuns === 0 ? 'green' : 'red',
    text: `${count(postcopyRuns, 'run')} of ${runs.length} used post-copy`,
    numbers: { postcopyRuns, runs: runs.length },
  };
}

function judgementsOf(own: Cell, bound: Bound, cells: readonly Cell[]): [BoundClaim, Judgement][] {
  const { floorRatio, bytesRatio, downtimeGuestMs, downtimeStopToResumeMs, lostWork, isByPrecopy } = bound;
  const judgements: [BoundClaim, Judgement][] = [];
  if (floorRatio !== null) {
    judgements.push(['total-within-bound', judge(own.floorRatio, floorRatio, 'Ratio')]);
  }
  if (bytesRatio !== null) {
    judgements.push(['bytes-within-bound', judge(own.bytesRatio, bytesRatio, 'Ratio')]);
  }
  if (downtimeGuestMs !== null) {
    judgements.push(['client-downtime-within-bound', judge(own.downtimeGuestMs, downtimeGuestMs, 'Ms')]);
  }
  if (downtimeStopToResumeMs !== null) {
    const judgement = judge(own.downtimeStopToResumeMs, downtimeStopToResumeMs, 'Ms');
    judgements.push(['stop-to-resume-within-bound', judgement]);
  }
  if (lostWork !== null) {
    judgements.push(['lost-work-within-bound', judgeLostWork(own, lostWork, cells)]);
  }
  if (isByPrecopy) judgements.push(['by-precopy', judgeByPrecopy(own)]);
  return judgements;
}

function checkBound({ guest, link, cells }: Setting, own: Cell, bound: Bound): Verdict[] {
  const { policy } = own;
  const failure = unfinished(own);
  return judgementsOf(own, bound, cells).map(([claim, judgement]) => ({
    guest,
    link,
    policy,
    claim,
    reason: null,
    ...(failure ?? judgement),
  }));
}

/** A verdict for every figure that is asked something of, in each guest's every link. */
export function checkBounds(settings: readonly Setting[], bounds: readonly Bound[]): Verdict[] {
  return bounds.flatMap((bound) =>
    settings
      .filter(({ guest }) => bound.guests.includes(guest))
      .flatMap((setting) =>
        setting.cells
          .filter(({ policy }) => policy === bound.policy)
          .flatMap((own) => checkBound(setting, own, bound)),
      ),
  );
}
