// SPDX-License-Identifier: Apache-2.0
// The machine's own noise: how far migrations of an idle guest differ from each other when nothing was changed.

import { medianAbsoluteDeviation } from 'simple-statistics';
import { groupBy } from '../common/index.ts';
import type { RunRecord } from '../experiment/index.ts';
import type { Random } from '../common/index.ts';
import { countingRuns, isCompleted, keyOf, measured } from './result-set.ts';
import { summarize, type Summary } from './statistics.ts';

/** A figure that control runs give the noise of. */
export type NoisyFigure = 'tmtMs' | 'downtimeGuestMs';

/** Fewer control runs than this say nothing about a spread. */
const LEAST_CONTROL_RUNS = 3;

export interface ControlNoise {
  readonly guest: string;
  readonly link: string;
  readonly policy: string;
  readonly runs: number;
  readonly tmtMs: Summary | null;
  readonly downtimeGuestMs: Summary | null;
  /** Spread relative to the median; null with fewer than three runs. */
  readonly noiseRatio: Readonly<Record<NoisyFigure, number | null>>;
}

/**
 * A robust relative standard deviation: 1.4826 x median absolute deviation / median (the factor makes it the standard
 * deviation for normal noise). Worked example: of 98, 99, 100, 101, 110 the deviations from 100 are 2, 1, 0, 1, 10, their
 * median is 1: 1.5 %, whatever the 110 was.
 */
export function noiseRatioOf(values: readonly number[], summary: Summary | null): number | null {
  if (summary === null || values.length < LEAST_CONTROL_RUNS || summary.median <= 0) return null;
  return (1.4826 * medianAbsoluteDeviation([...values])) / summary.median;
}

/** One entry for each guest, link and policy that control runs were made with. */
export function controlNoise(records: readonly RunRecord[], random: Random): ControlNoise[] {
  const runs = countingRuns(records.filter(({ kind }) => kind === 'control')).filter(isCompleted);
  return [...groupBy(runs, ({ guest, link, policy }) => keyOf(guest, link, policy)).values()].flatMap(
    (group) => {
      const [first] = group;
      if (first === undefined) return [];
      const tmtMs = measured(group, (run) => run.tmtMs);
      const downtimeGuestMs = measured(group, (run) => run.downtimeGuestMs);
      const tmt = summarize(tmtMs, random);
      const downtime = summarize(downtimeGuestMs, random);
      return [
        {
          guest: first.guest,
          link: first.link,
          policy: first.policy,
          runs: group.length,
          tmtMs: tmt,
          downtimeGuestMs: downtime,
          noiseRatio: {
            tmtMs: noiseRatioOf(tmtMs, tmt),
            downtimeGuestMs: noiseRatioOf(downtimeGuestMs, downtime),
          },
        },
      ];
    },
  );
}

/** The noise on that link; where no control ran there, the largest of any link; null where there is none at all. */
export function noiseOn(link: string, controls: readonly ControlNoise[], figure: NoisyFigure): number | null {
  const ratios = (chosen: readonly ControlNoise[]): number[] =>
    chosen.map(({ noiseRatio }) => noiseRatio[figure]).filter((ratio) => ratio !== null);
  const here = ratios(controls.filter((control) => control.link === link));
  const any = here.length > 0 ? here : ratios(controls);
  return any.length === 0 ? null : Math.max(...any);
}
