// SPDX-License-Identifier: Apache-2.0
// A traffic experiment's results by case and policy: medians with their intervals.

import { groupBy, type Random } from '../../common/index.ts';
import type { TrafficExperiment, TrafficRecord } from '../../experiment/index.ts';
import { type Summary, summarize } from '../statistics.ts';
import { deadlinesOf, floorKeptRatio, linkUseRatio, totalMs, weightedCompletionMs } from './figures.ts';

export interface TrafficRow {
  readonly case: string;
  readonly policy: string;
  /** Runs that were carried out; those of them that the machine disturbed each time; those in which every guest completed. */
  readonly runs: number;
  readonly disturbed: number;
  readonly completed: number;
  readonly failed: number;
  readonly tmtMs: Summary | null;
  readonly weightedMs: Summary | null;
  readonly downtimeSumMs: Summary | null;
  readonly downtimeMaxMs: Summary | null;
  /** Share of the windows in which the floor was kept. */
  readonly floorKept: Summary | null;
  readonly linkUse: Summary | null;
  readonly p99BeforeMs: Summary | null;
  readonly p99Ms: Summary | null;
  readonly deadlinesMet: number;
  readonly deadlines: number;
  readonly lost: number;
  /** Those of `runs`. */
  readonly records: readonly TrafficRecord[];
}

/** Of each repeat one attempt: the first undisturbed one, else the last that was carried out, else the last. */
export function usedRecords(records: readonly TrafficRecord[]): TrafficRecord[] {
  const attempts = groupBy(records, (record) => `${record.case}/${record.policy}/${record.repeat}`);
  return [...attempts.values()].flatMap((all) => {
    const carriedOut = all.filter(({ outcome }) => outcome === 'carried-out');
    return (
      carriedOut.find(({ disturbances }) => disturbances.length === 0) ??
      carriedOut.at(-1) ??
      all.at(-1) ??
      []
    );
  });
}

/** Moments at which the offer stepped, on the clock of the windows. */
function stepsOf(experiment: TrafficExperiment, record: TrafficRecord): number[] {
  const flows = experiment.cases.find(({ name }) => name === record.case)?.flows ?? [];
  return flows.flatMap(({ steps }, i) => {
    const startMs = record.flows[i]?.sent.startMs;
    return startMs === undefined ? [] : steps.map(({ fromMs }) => startMs + fromMs);
  });
}

/** All rows, in the order of the file. `linkBytesPerSec`: on the wire. */
export function trafficRows(
  experiment: TrafficExperiment,
  records: readonly TrafficRecord[],
  linkBytesPerSec: number,
  random: Random,
): TrafficRow[] {
  const used = usedRecords(records);
  return experiment.cases.flatMap(({ name: caseName }) =>
    experiment.policies.map(({ name: policy }): TrafficRow => {
      const all = used.filter((record) => record.case === caseName && record.policy === policy);
      const carriedOut = all.filter(({ outcome }) => outcome === 'carried-out');
      const figure = (of: (record: TrafficRecord) => number | null | undefined): Summary | null =>
        summarize(
          carriedOut.flatMap((record) => of(record) ?? []),
          random,
        );
      const deadlines = carriedOut.map(deadlinesOf);
      return {
        case: caseName,
        policy,
        runs: carriedOut.length,
        disturbed: carriedOut.filter(({ disturbances }) => disturbances.length > 0).length,
        completed: carriedOut.filter(({ reason }) => reason === 'all completed').length,
        failed: all.length - carriedOut.length,
        tmtMs: figure(totalMs),
        weightedMs: figure(weightedCompletionMs),
        downtimeSumMs: figure(({ gang }) => gang?.downtime_sum_ms),
        downtimeMaxMs: figure(({ gang }) => gang?.downtime_max_ms),
        floorKept:
          experiment.floorBytesPerSec === null
            ? null
            : figure((record) => floorKeptRatio(record, experiment.floorBytesPerSec ?? 0)),
        linkUse: figure((record) =>
          linkUseRatio(record, linkBytesPerSec, { atMs: stepsOf(experiment, record) }),
        ),
        p99BeforeMs: figure(({ probes }) => probes?.before?.p99Ms),
        p99Ms: figure(({ probes }) => probes?.during?.p99Ms),
        deadlinesMet: deadlines.reduce((sum, { met }) => sum + met, 0),
        deadlines: deadlines.reduce((sum, { all: count }) => sum + count, 0),
        lost: carriedOut.filter(({ coherent }) => coherent !== true).length,
        records: carriedOut,
      };
    }),
  );
}
