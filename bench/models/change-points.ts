// SPDX-License-Identifier: Apache-2.0
// Models that open a new phase at a change point, and know phases again that return. They lost against simpler ones in the
// ablation (bench/README.md, series) and are kept here with it.

import type { FittedSeries, SeriesModel } from '../../src/forecast/index.ts';

function constantly(value: number): FittedSeries {
  return {
    forecast: (steps) => new Array<number>(steps).fill(value),
    parameters: { value },
    sumOfSquares: NaN,
    errorCount: 0,
    parameterCount: 1,
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function spreadOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - mean) ** 2)));
}

const SLACK = 0.5;
const THRESHOLD = 4;

/**
 * Where phases begin, by Page's cumulative sums (1954): the sum of deviations from the phase's mean, less half a spread each,
 * exceeds four spreads, up or down. The spread is that of the differences, which changes do not inflate.
 */
export function phaseStarts(values: readonly number[]): number[] {
  const spread = spreadOf(values.slice(1).map((value, i) => value - (values[i] ?? 0))) / Math.SQRT2;
  const starts = [0];
  let [up, down, from] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const mean = meanOf(values.slice(from, Math.max(from + 1, i)));
    const deviation = spread > 0 ? ((values[i] ?? 0) - mean) / spread : 0;
    up = Math.max(0, up + deviation - SLACK);
    down = Math.max(0, down - deviation - SLACK);
    if (up > THRESHOLD || down > THRESHOLD) {
      starts.push(i);
      [up, down, from] = [0, 0, i];
    }
  }
  return starts;
}

/** The mean since the last change point. */
export const cusum: SeriesModel = {
  name: 'cusum',
  fit(values) {
    if (values.length < 3) return null;
    return constantly(meanOf(values.slice(phaseStarts(values).at(-1) ?? 0)));
  },
};

/** A change may come at every step with this chance. */
const HAZARD = 1 / 25;
const MAX_RUN = 100;

/**
 * Bayesian online change-point detection (Adams and MacKay, 2007) of a Gaussian mean with known spread: the forecast is the
 * mean over all run lengths, each weighted with how likely it is.
 */
export const bayesianRunLength: SeriesModel = {
  name: 'bayesian-run-length',
  fit(values) {
    if (values.length < 4) return null;
    const overall = meanOf(values);
    const spread = Math.max(
      1e-9,
      spreadOf(values.slice(1).map((value, i) => value - (values[i] ?? 0))) / Math.SQRT2,
    );
    const prior = Math.max(spread, spreadOf(values));
    let runs = [{ weight: 1, sum: 0, count: 0 }];
    const posterior = ({
      sum,
      count,
    }: {
      sum: number;
      count: number;
    }): { mean: number; variance: number } => {
      const precision = 1 / prior ** 2 + count / spread ** 2;
      return { mean: (overall / prior ** 2 + sum / spread ** 2) / precision, variance: 1 / precision };
    };
    for (const value of values) {
      let changed = 0;
      const grown = runs.map((run) => {
        const { mean, variance } = posterior(run);
        const total = variance + spread ** 2;
        const likely = Math.exp(-((value - mean) ** 2) / (2 * total)) / Math.sqrt(total);
        changed += run.weight * likely * HAZARD;
        return { weight: run.weight * likely * (1 - HAZARD), sum: run.sum + value, count: run.count + 1 };
      });
      const next = [{ weight: changed, sum: 0, count: 0 }, ...grown].slice(0, MAX_RUN);
      const total = next.reduce((sum, { weight }) => sum + weight, 0);
      runs =
        total > 0
          ? next.map((run) => ({ ...run, weight: run.weight / total }))
          : [{ weight: 1, sum: 0, count: 0 }];
    }
    return constantly(runs.reduce((sum, run) => sum + run.weight * posterior(run).mean, 0));
  },
};

const ALIKE = 0.25;

/** Phases by their change points; one like an earlier one is taken to last as long, and to be followed by what followed then. */
export const returningPhases: SeriesModel = {
  name: 'returning-phases',
  fit(values) {
    if (values.length < 6) return null;
    const starts = phaseStarts(values);
    const phases = starts.map((start, i) => {
      const end = starts[i + 1] ?? values.length;
      return { length: end - start, mean: meanOf(values.slice(start, end)) };
    });
    const now = phases.at(-1);
    if (now === undefined) return null;
    const scale = Math.max(...values.map(Math.abs), 1e-9);
    const before = phases.slice(0, -1).findLastIndex(({ mean }) => Math.abs(mean - now.mean) < ALIKE * scale);
    const followed = before === -1 ? undefined : phases[before + 1];
    const known = phases[before];
    const isOver = known !== undefined && now.length >= known.length;
    return constantly(
      isOver && followed !== undefined && before + 1 < phases.length - 1 ? followed.mean : now.mean,
    );
  },
};
