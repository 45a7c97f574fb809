// SPDX-License-Identifier: Apache-2.0
// npm run bench:prediction -- DIR...: how far predictions were off on real migrations, by what was known at the end of the
// first round and by the profile alone; the comparators on the same runs. Only completed runs. Recomputes all from the traces
// (publish --traces). `--each`: a line for each run.

import { policyByName } from '../src/decide/index.ts';
import { linkRateBytesPerSec, tcpGoodputBytesPerSec } from '../src/experiment/index.ts';
import {
  dirtyBytesWithin,
  foldObservation,
  forecastOf,
  initForecast,
  liuGeometric,
  mvmDuration,
  type PredictedMigration,
  qemuExpected,
  readProfile,
  zeroBytesOf,
} from '../src/forecast/index.ts';
import type { DirtyCurve, Estimate, Policy } from '../src/model/index.ts';
import {
  bandOf,
  continueFrom,
  guestOfCurve,
  runThrice,
  simulateMigration,
  type SimulatedRun,
} from '../src/simulate/index.ts';
import { mean, p90, percent, tableOf } from './percent.ts';
import { type RecordedCell, recordedCells } from './recorded-cells.ts';

interface Predicted {
  readonly tmtMs: number | null;
  readonly stopToResumeMs: number | null;
  readonly silenceMs: number | null;
  readonly tmtBand: Estimate | null;
}

const NOTHING: Predicted = { tmtMs: null, stopToResumeMs: null, silenceMs: null, tmtBand: null };

function ours(runs: readonly SimulatedRun[], sinceMs: number): Predicted {
  const [now] = runs;
  if (now === undefined || now.tmtMs === null) return NOTHING;
  const all = runs.flatMap(({ tmtMs }) => tmtMs ?? []);
  return { ...now, tmtBand: bandOf(all, sinceMs) };
}

/** What was known when the first round was over: the curve by then, the bandwidth by then, what was zero. */
const LIMITED_RATIO = 0.95;

function atRoundOne({ record, run }: RecordedCell, policy: Policy): Predicted | null {
  const { context, observations } = run;
  const end = observations.findIndex(({ round, kind }) => kind === 'round' && round >= 2);
  const count = end === -1 ? observations.findIndex(({ status }) => status === 'postcopy-active') : end + 1;
  const last = observations[count - 1];
  if (last === undefined || count <= 0) return null;
  let forecasting = initForecast(context);
  for (const observation of observations.slice(0, count))
    forecasting = foldObservation(forecasting, observation);
  const { curve, pace, bandwidthBytesPerSec } = forecastOf(forecasting, last);
  if (curve === null || bandwidthBytesPerSec === null) return null;
  // Where QEMU's own limit was what held the stream up, the link carries what its rate gives.
  const limit = context.parameters.maxBandwidthBytesPerSec ?? 0;
  const isLimited = limit > 0 && bandwidthBytesPerSec > LIMITED_RATIO * limit;
  const goodput = tcpGoodputBytesPerSec(linkRateBytesPerSec(record.link));
  const link = isLimited ? Math.max(goodput, bandwidthBytesPerSec) : bandwidthBytesPerSec;
  const seen = context.profile === null ? null : readProfile(context.profile);
  const toldBefore = context.profile === null ? 0 : zeroBytesOf(context.profile);
  const zeroBytes = Math.min(context.memoryBytes, Math.max(toldBefore, last.zeroBytes ?? 0));
  const guest = guestOfCurve(context.memoryBytes, zeroBytes, curve, seen?.pace ?? pace);
  const runs = runThrice(
    (each, linkBytesPerSec) => continueFrom(policy, run, count, each, linkBytesPerSec),
    guest,
    link,
  );
  return ours(runs, last.atMs);
}

/** What was known before the first byte: the profile, and the rate of the link. */
function fromProfile({ record, run }: RecordedCell, policy: Policy): Predicted | null {
  const { context } = run;
  const known = context.profile === null ? null : readProfile(context.profile);
  if (known === null || context.profile === null) return null;
  const link = tcpGoodputBytesPerSec(linkRateBytesPerSec(record.link));
  const guest = guestOfCurve(context.memoryBytes, zeroBytesOf(context.profile), known.curve, known.pace);
  const runs = runThrice(
    (each, linkBytesPerSec) =>
      simulateMigration({ policy, context, guest: each, linkBytesPerSec, capMs: 600_000 }),
    guest,
    link,
  );
  return ours(runs, 0);
}

/** The comparators know the same as we at the end of the first round: its dirty set, the curve's windows, the bandwidth. */
function comparators({ run }: RecordedCell): Record<string, PredictedMigration> | null {
  const { context, observations } = run;
  const last = observations.find(({ round, kind }) => kind === 'round' && round >= 2);
  const bandwidth = last?.bandwidthBytesPerSec ?? null;
  if (last === undefined || bandwidth === null) return null;
  let forecasting = initForecast(context);
  for (const observation of observations) {
    if (observation.atMs > last.atMs) break;
    forecasting = foldObservation(forecasting, observation);
  }
  const curve: DirtyCurve = forecastOf(forecasting, last).curve ?? {
    hotBytes: 0,
    tauMs: 1,
    coldBytesPerMs: 0,
  };
  const inputs = {
    memoryBytes: context.memoryBytes - (last.zeroBytes ?? 0),
    bandwidthBytesPerSec: bandwidth,
    dirtyBytesPerSec: dirtyBytesWithin(curve, 1000),
    hotBytes: curve.hotBytes,
    hotMs: 2 * curve.tauMs,
    coldBytesPerSec: curve.coldBytesPerMs * 1000,
    maxDowntimeMs: context.objective.maxDowntimeMs,
  };
  return {
    'Liu et al., geometric': liuGeometric(inputs),
    'mVM, duration': mvmDuration(inputs),
    "QEMU's expected-downtime": qemuExpected(last.atMs, last.remainingBytes ?? 0, bandwidth),
  };
}

interface Errors {
  readonly tmt: number[];
  readonly stopToResumeMs: number[];
  readonly silenceMs: number[];
  readonly inBand: boolean[];
  unknown: number;
}

function emptyErrors(): Errors {
  return { tmt: [], stopToResumeMs: [], silenceMs: [], inBand: [], unknown: 0 };
}

function add(errors: Errors, { record }: RecordedCell, predicted: Predicted | null): void {
  const { tmtMs, downtimeStopToResumeMs, downtimeGuestMs } = record;
  const told = predicted?.tmtMs ?? NaN;
  if (predicted === null || !Number.isFinite(told) || tmtMs === null) {
    errors.unknown += 1;
    return;
  }
  errors.tmt.push(Math.abs(told / tmtMs - 1));
  if (predicted.stopToResumeMs !== null && downtimeStopToResumeMs !== null) {
    errors.stopToResumeMs.push(Math.abs(predicted.stopToResumeMs - downtimeStopToResumeMs));
  }
  if (predicted.silenceMs !== null && downtimeGuestMs !== null) {
    errors.silenceMs.push(Math.abs(predicted.silenceMs - downtimeGuestMs));
  }
  const { tmtBand } = predicted;
  if (tmtBand !== null) errors.inBand.push(tmtMs >= tmtBand.low && tmtMs <= tmtBand.high);
}

const ms = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(0)} ms`);

function row(name: string, { tmt, stopToResumeMs, silenceMs, inBand, unknown }: Errors): string[] {
  const held = inBand.length === 0 ? '-' : percent(inBand.filter(Boolean).length / inBand.length);
  return [
    name,
    ...[`${tmt.length}`, `${unknown}`, tmt.length === 0 ? '-' : percent(mean(tmt)), percent(p90(tmt))],
    ...[ms(p90(stopToResumeMs)), ms(p90(silenceMs)), held],
  ];
}

const HEADER = [
  'predictor',
  'runs',
  'no figure',
  'TMT, mean error',
  'TMT, P90',
  'STOP to RESUME, P90',
  'client, P90',
  'in the 90 % band',
];

const FIGURES = ['real', 'by round 1', 'by profile'];
const DETAIL = [
  'guest',
  'link',
  'policy',
  ...FIGURES.map((of) => `TMT, ms: ${of}`),
  ...FIGURES.map((of) => `STOP to RESUME, ms: ${of}`),
];

export function predictionTable(directories: readonly string[], each: boolean): string {
  const completed = recordedCells(directories).filter(({ record }) => record.outcome === 'completed');
  const all = new Map<string, Errors>();
  const of = (name: string): Errors => {
    const known = all.get(name) ?? emptyErrors();
    all.set(name, known);
    return known;
  };
  const lines: string[][] = [];
  for (const cell of completed) {
    const policy = policyByName(cell.run.policy);
    if (policy === undefined) continue;
    const after = atRoundOne(cell, policy);
    const before = fromProfile(cell, policy);
    add(of('ours, at the end of round 1'), cell, after);
    add(of('ours, from the profile alone'), cell, before);
    for (const [name, predicted] of Object.entries(comparators(cell) ?? {})) {
      const { tmtMs, downtimeMs } = predicted;
      add(of(name), cell, { ...NOTHING, tmtMs, stopToResumeMs: downtimeMs });
    }
    const { guest, link, policy: name, tmtMs, downtimeStopToResumeMs: stopMs } = cell.record;
    const figures = (of: 'tmtMs' | 'stopToResumeMs', real: number | null): string[] =>
      [real, after?.[of], before?.[of]].map((figure) => figure?.toFixed(0) ?? '-');
    lines.push([guest, link, name, ...figures('tmtMs', tmtMs), ...figures('stopToResumeMs', stopMs)]);
  }
  const head = `${completed.length} completed migrations, ${completed.filter(({ record }) => !record.usedPostcopy).length} of them by pre-copy`;
  const detail = each ? [tableOf([DETAIL, ...lines]), ''] : [];
  return [...detail, head, tableOf([HEADER, ...[...all].map(([name, errors]) => row(name, errors))])].join(
    '\n',
  );
}

const args = process.argv.slice(2);
if (args.length > 0) {
  const directories = args.filter((arg) => !arg.startsWith('--'));
  process.stdout.write(`${predictionTable(directories, args.includes('--each'))}\n`);
}
