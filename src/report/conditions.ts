// SPDX-License-Identifier: Apache-2.0
// Under which conditions the figures came about, as (name, value) in words: they stand before any figure.

import { formatMs } from '../common/index.ts';
import { ABSENT, count, formatPercent, orAbsent } from './format.ts';
import type { ControlNoise } from './noise.ts';
import { repeatsOf, type Report } from './report.ts';

export interface Condition {
  readonly name: string;
  readonly value: string;
}

function repeatsText(report: Report): string {
  const repeats = repeatsOf(report.settings);
  if (repeats === null) return 'none';
  return repeats.least === repeats.most
    ? `${count(repeats.most, 'counting run')} of each cell`
    : `${repeats.least} to ${repeats.most} counting runs of each cell`;
}

function attemptsText(report: Report): string {
  const { records } = report.set;
  const disturbed = records.filter(({ disturbances }) => disturbances.length > 0).length;
  const failed = records.filter(({ outcome }) => outcome === 'failed').length;
  return `${records.length}, of which ${disturbed} disturbed by the machine and ${failed} that could not be carried out`;
}

/** "median 4.41 s (4.35 s to 4.60 s), noise 0.8 %, 12 runs". */
export function noiseText({ tmtMs, noiseRatio, runs }: ControlNoise): string {
  if (tmtMs === null) return count(runs, 'run');
  return (
    `total time median ${formatMs(tmtMs.median)} (${formatMs(tmtMs.min)} to ${formatMs(tmtMs.max)}), ` +
    `noise ${orAbsent(noiseRatio.tmtMs, formatPercent)}, ${count(runs, 'run')}`
  );
}

/** First and last start, as they are in the records. */
function timesText(report: Report): string {
  const times = report.set.records.map(({ startedAt }) => startedAt.replace(/\.\d+Z$/, 'Z')).sort();
  return times.length === 0 ? ABSENT : `${times[0] ?? ''} to ${times.at(-1) ?? ''}`;
}

export function conditionsOf(report: Report): Condition[] {
  const controls = report.controls.map((control) => ({
    name: `noise on ${control.link}`,
    value: `${noiseText(control)} of ${control.guest} with ${control.policy}`,
  }));
  const oracles = report.settings.flatMap(({ guest, link, oracleSetting, searched }) =>
    oracleSetting === null
      ? []
      : [
          {
            name: `oracle for ${guest} on ${link}`,
            value: `${oracleSetting}, the best of ${count(searched.length, 'setting')} searched`,
          },
        ],
  );
  return [
    ...Object.entries(report.set.machine).map(([name, value]) => ({
      name,
      value: orAbsent(value, (known) => String(known)),
    })),
    { name: 'runs', value: repeatsText(report) },
    { name: 'attempts', value: attemptsText(report) },
    { name: 'started', value: timesText(report) },
    ...(controls.length > 0 ? controls : [{ name: 'noise', value: 'not measured: no control runs' }]),
    ...oracles,
  ];
}

/** How to read the figures; in every rendering. */
export const METHOD: readonly string[] = [
  'Of each run one attempt counts: the first that the machine did not disturb, else the last that was carried out. Figures of time, downtime and bytes are of completed runs; slowdown and application figures of all counting runs. No slowdown is told of guests that are busy and quiet by turns: what one got done in a stretch before is no measure of another stretch.',
  'Lost work is what the guest did not get done between the request and some seconds after the end, as the time that it takes for it at its rate before; where the records have it.',
  'Intervals are 95 % percentile bootstrap intervals of the median (10 000 resamples); P90 interpolates between runs.',
  'Downtime has three clocks: what QEMU reports, from STOP on the source to RESUME on the destination, and the longest silence that a client of the guest sees.',
  'The floor is the memory that is not all zero at the start, sent once by one TCP stream on the same link.',
  'Regret is the median total time over that of the hindsight policy where that was run, otherwise of the fastest policy that always completed.',
  'The oracle is the fixed setting (moment and way of switching) with the least median total time among those that kept the guest silent no longer than the maximum downtime, or else the one with the least silence; it was found by a search and then run afresh.',
  'Noise is the relative spread of migrations of an idle guest: 1.4826 x median absolute deviation / median.',
];

/** Records that say that data was lost: these are never only a figure in a table. */
export function lossesOf(report: Report): string[] {
  return report.settings.flatMap(({ guest, link, cells }) =>
    cells.flatMap(({ policy, lostPages, lostBlocks, incoherentRuns, runs }) => {
      const lostGuests = runs.filter(({ outcome }) => outcome === 'lost').length;
      const parts = [
        ...((lostPages ?? 0) > 0 ? [count(lostPages ?? 0, 'page')] : []),
        ...((lostBlocks ?? 0) > 0 ? [count(lostBlocks ?? 0, 'disk block')] : []),
        ...(lostGuests > 0 ? [count(lostGuests, 'guest')] : []),
        ...(incoherentRuns > 0 ? [`coherence in ${count(incoherentRuns, 'run')}`] : []),
      ];
      return parts.length === 0 ? [] : [`${guest} on ${link}, ${policy}: lost ${parts.join(', ')}`];
    }),
  );
}
