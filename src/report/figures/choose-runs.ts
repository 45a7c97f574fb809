// SPDX-License-Identifier: Apache-2.0
// Which migrations are shown from start to end: of each guest and link the typical run of the adaptive policy, and one of
// a policy to hold it against. Chosen by rule, so that nobody can pick a pretty one.

import { median } from 'simple-statistics';
import type { RunRecord } from '../../experiment/index.ts';
import { alwaysCompleted, type Cell, type Setting } from '../cells.ts';
import { ADAPTIVE, isCompleted, ORACLE, STOCK_PRECOPY } from '../result-set.ts';

/** The completed run whose TMT is nearest to the median; without one the middle run. Only runs with something to draw. */
export function typicalRun(cell: Cell): RunRecord | null {
  const drawable = cell.runs.filter(({ files }) => files.trace !== null || files.series !== null);
  const completed = drawable.filter((run) => isCompleted(run) && run.tmtMs !== null);
  if (completed.length === 0) return drawable[Math.floor((drawable.length - 1) / 2)] ?? null;
  const middleMs = median(completed.map(({ tmtMs }) => tmtMs ?? 0));
  const distanceMs = ({ tmtMs }: RunRecord): number => Math.abs((tmtMs ?? 0) - middleMs);
  return completed.reduce((best, run) => (distanceMs(run) < distanceMs(best) ? run : best));
}

/** Stock pre-copy where it was run, otherwise the fastest that always came through. */
function peerOf(cells: readonly Cell[]): Cell | undefined {
  const others = cells.filter(
    ({ policy, runs }) => policy !== ADAPTIVE && policy !== ORACLE && runs.length > 0,
  );
  const stock = others.find(({ policy }) => policy === STOCK_PRECOPY);
  const byTmt = others
    .filter(alwaysCompleted)
    .sort((a, b) => (a.tmtMs?.median ?? Infinity) - (b.tmtMs?.median ?? Infinity));
  return stock ?? byTmt[0] ?? others[0];
}

/** In the order of the settings, the adaptive run before its peer; at most `most` runs. */
export function chooseTimelineRuns(settings: readonly Setting[], most = 24): RunRecord[] {
  return settings
    .flatMap(({ cells }) => [cells.find(({ policy }) => policy === ADAPTIVE), peerOf(cells)])
    .flatMap((cell) => (cell === undefined ? [] : (typicalRun(cell) ?? [])))
    .slice(0, most);
}
