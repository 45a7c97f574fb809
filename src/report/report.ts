// SPDX-License-Identifier: Apache-2.0
// A result set with everything that is worked out from it; what is printed only formats this.

import { type Against, againstRivals } from './against.ts';
import { checkBounds } from './bounds.ts';
import { type Setting, settingsOf } from './cells.ts';
import { type ControlNoise, controlNoise } from './noise.ts';
import type { Random } from '../common/index.ts';
import { withReason } from './reasons.ts';
import type { ResultSet } from './result-set.ts';
import { checkClaims, type Verdict } from './verdict.ts';

export interface Report {
  readonly set: ResultSet;
  readonly settings: readonly Setting[];
  readonly controls: readonly ControlNoise[];
  readonly verdicts: readonly Verdict[];
  readonly against: readonly Against[];
}

/** Where an experiment asks something of its own, what it cannot tell of the claims on the adaptive policy is no news. */
function verdictsOf(
  settings: readonly Setting[],
  { bounds = [], ours }: ResultSet,
  random: Random,
): Verdict[] {
  const bounded = checkBounds(settings, bounds);
  const isBounded = ({ guest }: Verdict): boolean => bounded.some((verdict) => verdict.guest === guest);
  const claimed = checkClaims(settings, ours, random);
  return [...bounded, ...claimed.filter((verdict) => verdict.state !== 'open' || !isBounded(verdict))];
}

/** Never throws on records: what is missing or was not measured is absent from the report. */
export function buildReport(set: ResultSet, random: Random): Report {
  const { reasons = [] } = set;
  const settings = settingsOf(set, random);
  return {
    set,
    settings,
    controls: controlNoise(set.records, random),
    verdicts: verdictsOf(settings, set, random).map((verdict) => withReason(verdict, reasons)),
    against: againstRivals(settings, set.ours, random),
  };
}

/** The lowest and the highest number of counting runs of a cell that has any: "repeats" as they came out. */
export function repeatsOf(settings: readonly Setting[]): { least: number; most: number } | null {
  const counts = settings.flatMap(({ cells }) => cells.map(({ runs }) => runs.length)).filter((n) => n > 0);
  return counts.length === 0 ? null : { least: Math.min(...counts), most: Math.max(...counts) };
}
