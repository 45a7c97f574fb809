// SPDX-License-Identifier: Apache-2.0
// npm run bench:series -- DIR...: the next step of what a guest dirties, forecast by every model on the profiles of real
// migrations, and the next round's by the curve; always beside persistence, by a paired test. And which of the other figures
// of a profile make it better. `publish --traces` keeps what is read here.

import { seededRandom } from '../src/common/index.ts';
import {
  arima,
  type CurvePoints,
  dirtyBytesWithin,
  dampedHolt,
  ets,
  findPeriod,
  fitDirtyCurve,
  foldObservation,
  forecastOf,
  initForecast,
  persistence,
  seasonalNaive,
  type SeriesModel,
  simpleSmoothing,
} from '../src/forecast/index.ts';
import type { GuestActivity, ProfileSample } from '../src/model/index.ts';
import { signFlipTest } from '../src/report/index.ts';
import { bayesianRunLength, cusum, returningPhases } from './models/change-points.ts';
import { mean, percent, tableOf } from './percent.ts';
import { type RecordedCell, recordedCells } from './recorded-cells.ts';

/** Forecasts begin when half of a series is known. */
const KNOWN_SHARE = 0.5;
const MIN_STEPS = 16;

/** Errors are told as shares of the guest's own busy step, so that quiet steps do not divide by nothing. */
interface Scored {
  readonly model: string;
  /** Mean error of each series, in the order of the series; null: the model did not know. */
  readonly errors: (number | null)[];
}

function evenSteps(samples: readonly ProfileSample[]): readonly ProfileSample[] {
  const sorted = samples.map(({ windowMs }) => windowMs).sort((a, b) => a - b);
  const stepMs = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return samples.slice(samples.findLastIndex(({ windowMs }) => Math.abs(windowMs / stepMs - 1) > 0.35) + 1);
}

/** The model that is chosen by what has been seen so far: a period where there is one. */
const chosen: SeriesModel = {
  name: 'ours: its period, else persistence',
  fit(values) {
    const period = findPeriod(values);
    return (period === null ? persistence : seasonalNaive(Math.round(period.steps))).fit(values);
  },
};

const MODELS: readonly SeriesModel[] = [
  persistence,
  chosen,
  simpleSmoothing,
  dampedHolt,
  ets(),
  arima,
  cusum,
  bayesianRunLength,
  returningPhases,
];

function scoreOf(model: SeriesModel, values: readonly number[]): number | null {
  const scale = Math.max(...values);
  const errors: number[] = [];
  for (let origin = Math.ceil(values.length * KNOWN_SHARE); origin < values.length; origin++) {
    const next = model.fit(values.slice(0, origin))?.forecast(1)[0];
    if (next === undefined || !Number.isFinite(next)) return null;
    errors.push(Math.abs(next - (values[origin] ?? 0)) / scale);
  }
  return errors.length === 0 ? null : mean(errors);
}

function against(base: Scored, { model, errors }: Scored): string[] {
  const pairs = errors.flatMap((error, i) => {
    const other = base.errors[i];
    return error === null || other === null || other === undefined ? [] : [[error, other] as const];
  });
  const known = errors.filter((error) => error !== null);
  if (known.length === 0) return [model, '0', '-', '-', '-'];
  const p =
    pairs.length < 5 || model === base.model
      ? null
      : signFlipTest(
          pairs.map(([error, other]) => error - other),
          seededRandom(1),
        );
  return [
    model,
    `${known.length}`,
    percent(mean(known)),
    percent(1 - mean(known)),
    p === null ? '-' : p.toFixed(4),
  ];
}

function stepsTable(cells: readonly RecordedCell[]): string {
  const series = cells.flatMap(({ run }) => {
    const steps = evenSteps(run.context.profile?.samples ?? []).map(({ dirtyBytes }) => dirtyBytes);
    return steps.length >= MIN_STEPS && Math.max(...steps) > 0 ? [steps] : [];
  });
  const scored = MODELS.map((model) => ({
    model: model.name,
    errors: series.map((values) => scoreOf(model, values)),
  }));
  const [base] = scored;
  if (base === undefined || series.length === 0) return 'no profiles';
  return tableOf([
    ['model', 'series', 'mean error', 'accuracy', 'p against persistence'],
    ...scored.map((each) => against(base, each)),
  ]);
}

/** The next round's writing: as the last; by the curve of all rounds; by the curve through the last round (what is used). */
function roundsTable(cells: readonly RecordedCell[]): string {
  const scored: Scored[] = ['persistence', 'curve', 'curve through the last round'].map((model) => ({
    model,
    errors: [],
  }));
  let rounds = 0;
  for (const { run } of cells) {
    const errors: number[][] = scored.map(() => []);
    let state = initForecast({ ...run.context, profile: null });
    for (const observation of run.observations) {
      const before = state;
      state = foldObservation(state, observation);
      const now = state.newest;
      if (observation.kind !== 'round' || now === null || before.newest === null || observation.round < 3)
        continue;
      const points: CurvePoints = before.points;
      const curve = fitDirtyCurve(points)?.curve;
      const through = forecastOf(before, observation).curve;
      if (curve === undefined || through === null || now.dirtyBytes <= 0) continue;
      const said = [
        before.newest.dirtyBytes,
        dirtyBytesWithin(curve, now.windowMs),
        dirtyBytesWithin(through, now.windowMs),
      ];
      rounds += 1;
      said.forEach((bytes, i) => errors[i]?.push(Math.min(2, Math.abs(bytes / now.dirtyBytes - 1))));
    }
    errors.forEach((each, i) => scored[i]?.errors.push(each.length === 0 ? null : mean(each)));
  }
  const [base] = scored;
  if (base === undefined || rounds === 0) return 'no rounds';
  return `${rounds} rounds\n${tableOf([
    ['next round by', 'migrations', 'mean error', 'accuracy', 'p against persistence'],
    ...scored.map((each) => against(base, each)),
  ])}`;
}

/** Least squares of y on the columns and a constant, by Gauss' elimination with a little ridge. */
function regress(rows: readonly (readonly number[])[], y: readonly number[]): number[] {
  const x = rows.map((row) => [1, ...row]);
  const n = (rows[0]?.length ?? 0) + 1;
  const a = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n + 1 }, (_unused, j) =>
      x.reduce(
        (sum, row, k) => sum + (row[i] ?? 0) * (j === n ? (y[k] ?? 0) : (row[j] ?? 0)),
        i === j ? 1e-6 : 0,
      ),
    ),
  );
  for (let i = 0; i < n; i++) {
    const pivot = a[i];
    if (pivot === undefined) continue;
    for (let k = 0; k < n; k++) {
      const other = a[k];
      if (k === i || other === undefined) continue;
      const by = (other[i] ?? 0) / (pivot[i] ?? 1);
      for (let j = i; j <= n; j++) other[j] = (other[j] ?? 0) - by * (pivot[j] ?? 0);
    }
  }
  return a.map((row, i) => (row[n] ?? 0) / (row[i] ?? 1));
}

const INPUTS: readonly {
  readonly name: string;
  readonly of: (activity: GuestActivity | null) => number | null;
}[] = [
  { name: 'CPU time of QEMU', of: (a) => a?.cpuRatio ?? null },
  { name: 'network, received', of: (a) => a?.receivedBytesPerSec ?? null },
  { name: 'network, sent', of: (a) => a?.sentBytesPerSec ?? null },
  { name: 'memory in use', of: (a) => a?.memoryInUseBytes ?? null },
  { name: "host's CPU pressure", of: (a) => a?.hostCpuPressurePercent ?? null },
  { name: "host's memory pressure", of: (a) => a?.hostMemoryPressurePercent ?? null },
];

/** Standardised, so that the ridge is as small for every column. */
function standard(values: readonly number[]): number[] {
  const middle = mean(values);
  const spread = Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
  return values.map((value) => (spread > 0 ? (value - middle) / spread : 0));
}

/** The next step by this one alone, and with one more figure: trained on the first half of a profile, tried on the rest. */
function inputsTable(cells: readonly RecordedCell[]): string {
  const rows = INPUTS.map(({ name, of }) => {
    const gains: number[] = [];
    for (const { run } of cells) {
      const steps = evenSteps(run.context.profile?.samples ?? []);
      const figures = steps.flatMap(({ activity }) => of(activity) ?? []);
      if (steps.length < MIN_STEPS || figures.length < steps.length) continue;
      const y = standard(steps.map(({ dirtyBytes }) => dirtyBytes));
      const more = standard(figures);
      const half = Math.floor(steps.length / 2);
      const error = (column: (t: number) => number[]): number => {
        const known = Array.from({ length: half - 1 }, (_, t) => column(t));
        const coefficients = regress(known, y.slice(1, half));
        const errors = y.slice(half).map((value, i) => {
          const told = [1, ...column(half - 1 + i)].reduce(
            (sum, x, k) => sum + x * (coefficients[k] ?? 0),
            0,
          );
          return Math.abs(told - value);
        });
        return mean(errors);
      };
      const alone = error((t) => [y[t] ?? 0]);
      if (alone > 0) gains.push(1 - error((t) => [y[t] ?? 0, more[t] ?? 0]) / alone);
    }
    if (gains.length < 5) return [name, `${gains.length}`, '-', '-'];
    const p = signFlipTest(gains, seededRandom(1));
    return [name, `${gains.length}`, percent(mean(gains)), p.toFixed(4)];
  });
  return tableOf([['figure', 'profiles', 'error less by', 'p'], ...rows]);
}

const cells = recordedCells(process.argv.slice(2));
process.stdout.write(
  `next step of a profile\n${stepsTable(cells)}\n\nnext round of a migration\n${roundsTable(cells)}\n\n` +
    `what other figures add\n${inputsTable(cells)}\n`,
);
