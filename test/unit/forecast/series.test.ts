// SPDX-License-Identifier: Apache-2.0
// Our time series beside R's arima(method = "CSS") and HoltWinters, on R's own data sets.

import fc from 'fast-check';
import t, { type Test } from 'tap';
import { seededRandom } from '../../../src/common/index.ts';
import {
  aiccOf,
  arima,
  arimaOf,
  chooseModel,
  dampedHolt,
  ets,
  findPeriod,
  fisherPValue,
  holtWinters,
  persistence,
  rollingError,
  seasonalNaive,
  type SeriesModel,
  seriesModels,
  simpleSmoothing,
  smooth,
  startOf,
} from '../../../src/forecast/index.ts';
import {
  ACCIDENTAL_DEATHS,
  LH,
  NILE,
  R_DEATHS,
  R_LH_AR3,
  R_LH_ARMA,
  R_NILE,
  R_WWW,
  WWW_USAGE,
} from '../support/r-series.ts';

function near(t: Test, actual: number | undefined, expected: number, by: number, what: string): void {
  t.ok(Math.abs((actual ?? NaN) - expected) <= by, `${what}: ${actual} is ${expected} +/- ${by}`);
}

t.test('ARIMA agrees with R', (t) => {
  const ar3 = arimaOf({ p: 3, d: 0, q: 0 }).fit(LH)!;
  R_LH_AR3.coefficients.forEach((value, i) =>
    near(t, ar3.parameters[`ar${i + 1}`], value, 0.002, `ar${i + 1}`),
  );
  near(t, ar3.parameters['mean'], R_LH_AR3.mean, 0.002, 'mean');
  near(t, ar3.sumOfSquares / ar3.errorCount, R_LH_AR3.variance, 0.001, 'variance');
  ar3.forecast(3).forEach((value, i) => near(t, value, R_LH_AR3.ahead[i]!, 0.01, `${i + 1} ahead`));
  const arma = arimaOf({ p: 1, d: 0, q: 1 }).fit(LH)!;
  near(t, arma.parameters['ar1'], R_LH_ARMA.ar, 0.01, 'ar1');
  near(t, arma.parameters['ma1'], R_LH_ARMA.ma, 0.01, 'ma1');
  arma.forecast(3).forEach((value, i) => near(t, value, R_LH_ARMA.ahead[i]!, 0.02, `${i + 1} ahead`));
  const www = arimaOf({ p: 2, d: 1, q: 1 }).fit(WWW_USAGE)!;
  www.forecast(3).forEach((value, i) => near(t, value, R_WWW.ahead[i]!, 0.3, `${i + 1} ahead`));
  near(t, www.sumOfSquares / www.errorCount, R_WWW.variance, 0.1, 'variance');
  t.end();
});

t.test('exponential smoothing agrees with R', (t) => {
  const ses = simpleSmoothing.fit(NILE)!;
  near(t, ses.parameters['alpha'], R_NILE.alpha, 0.003, 'alpha');
  near(t, ses.sumOfSquares / R_NILE.sumOfSquares, 1, 0.001, 'sum of squares');
  near(t, ses.forecast(1)[0], R_NILE.ahead, 1, 'ahead');
  // The recursions alone, from a start that is given.
  const { level, season, sumOfSquares } = smooth(
    ACCIDENTAL_DEATHS,
    { alpha: 0.5, gamma: 0.3 },
    R_DEATHS.start,
  );
  near(t, sumOfSquares / R_DEATHS.sumOfSquares, 1, 0.001, 'sum of squares');
  R_DEATHS.ahead.forEach((value, i) => near(t, level + season[i]!, value, 1, `${i + 1} ahead`));
  t.end();
});

t.test('each model finds what it is made for', (t) => {
  const random = seededRandom(5);
  const noise = (): number => random() - 0.5;
  const trend = Array.from({ length: 60 }, (_, i) => 10 + 2 * i + noise());
  const season = Array.from({ length: 60 }, (_, i) => 100 + 50 * Math.sin((2 * Math.PI * i) / 12) + noise());
  const walk: number[] = [0];
  for (let i = 1; i < 200; i++) walk.push((walk[i - 1] ?? 0) + noise());
  const ahead = (model: SeriesModel, values: number[]): number => model.fit(values)!.forecast(1)[0]!;
  near(t, ahead(dampedHolt, trend), 130, 3, 'a trend');
  near(t, ahead(holtWinters(12), season), 100, 3, 'a season');
  near(t, ahead(seasonalNaive(12), season), 100, 2, 'a season');
  near(t, ahead(arima, trend), 130, 3, 'a trend');
  t.equal(chooseModel(season)?.model.name === 'persistence', false);
  t.equal(chooseModel(walk)?.model.name, 'persistence', 'of a random walk nothing is better known');
  t.equal(chooseModel(season, 'arima')?.model.name, 'arima', 'unless it is asked for');
  const flat = ets().fit(Array.from({ length: 40 }, () => 5 + noise()))!;
  near(t, flat.forecast(1)[0], 5, 0.3, 'a level');
  t.ok(aiccOf(flat) < aiccOf(dampedHolt.fit(Array.from({ length: 40 }, () => 5 + 10 * noise()))!));
  t.end();
});

t.test('periods are found with their exact length, also of bursts', (t) => {
  for (const steps of [8, 11.3, 24]) {
    const square = Array.from({ length: 80 }, (_, i) => ((i % steps) / steps < 0.4 ? 1 : 0));
    near(t, findPeriod(square)?.steps, steps, 0.35, `of ${steps} steps`);
  }
  near(t, fisherPValue(0.5, 19), 0.00007, 0.00001, "Fisher's example");
  t.end();
});

t.test('what is too short, constant or no number is not known, and nothing throws', (t) => {
  const any = fc.array(fc.oneof(fc.double(), fc.integer(), fc.constantFrom(NaN, Infinity, 0)), {
    maxLength: 40,
  });
  const models = [...seriesModels(4), simpleSmoothing, dampedHolt, persistence];
  fc.assert(
    fc.property(any, (values) => {
      for (const model of models) {
        const fitted = model.fit(values);
        if (fitted === null) continue;
        if (!values.every(Number.isFinite)) return false;
        if (fitted.forecast(3).length !== 3) return false;
      }
      chooseModel(values);
      rollingError(values, persistence);
      return true;
    }),
    { numRuns: 60 },
  );
  const constant = new Array<number>(30).fill(7);
  for (const model of models) {
    for (const value of model.fit(constant)?.forecast(2) ?? [])
      near(t, value, 7, 1e-6, `${model.name}, constant`);
  }
  t.equal(startOf(constant, true, 0).trend, 0);
  for (const model of models) t.equal(model.fit([]), null, `${model.name}, nothing`);
  t.end();
});
