// SPDX-License-Identifier: Apache-2.0
// Carries a traffic experiment out, run after run; killed at any moment, it goes on from its records. A run that the machine
// disturbed is kept and repeated, one that could not be carried out is tried once more.

import {
  expandTraffic,
  type TrafficExperiment,
  type TrafficRecord,
  type TrafficRun,
} from '../../src/experiment/index.ts';
import { machineFacts } from '../experiment/machine-facts.ts';
import type { ResultsStore } from '../experiment/results-store.ts';
import { reap } from '../index.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import { carryOutTraffic } from './carry-out.ts';
import { orderedBy } from './oracle.ts';

const MAX_ATTEMPTS = 3;
const MAX_FAILURES = 2;

export interface TrafficRunnerOptions {
  readonly experiment: TrafficExperiment;
  readonly store: ResultsStore<TrafficRecord>;
  readonly laboratory: Laboratory;
  readonly signal: AbortSignal;
  readonly onRun: (run: TrafficRun, attempt: number, done: number, total: number) => void;
  readonly onRecord: (record: TrafficRecord) => void;
  readonly onLine: (line: string) => void;
  /** Only runs whose key begins so; empty: all. */
  readonly only: string;
}

/** The attempt to make next of a run; null: it is done, or hopeless. */
export function nextAttempt(run: TrafficRun, records: readonly TrafficRecord[]): number | null {
  const own = records.filter(
    (record) =>
      record.case === run.case.name && record.policy === run.policy.name && record.repeat === run.repeat,
  );
  const isDone = own.some(
    ({ outcome, disturbances }) => outcome === 'carried-out' && disturbances.length === 0,
  );
  const failures = own.filter(({ outcome }) => outcome === 'failed').length;
  return isDone || own.length >= MAX_ATTEMPTS || failures >= MAX_FAILURES ? null : own.length;
}

/** @throws ResultsError, or the signal's reason */
export async function runTraffic(options: TrafficRunnerOptions): Promise<void> {
  const { experiment, store, laboratory, signal, onRun, onRecord, onLine, only } = options;
  await reap();
  store.writeMachine(machineFacts(laboratory, null));
  // Orders that cannot be searched are refused before anything is booted.
  for (const each of experiment.cases) {
    for (const policy of experiment.policies) orderedBy(experiment, each, policy);
  }
  const plan = expandTraffic(experiment).filter(({ key }) => key.startsWith(only));
  for (;;) {
    signal.throwIfAborted();
    const open = plan.filter((run) => nextAttempt(run, store.records) !== null);
    const [run] = open;
    if (run === undefined) return;
    const attempt = nextAttempt(run, store.records) ?? 0;
    onRun(run, attempt, plan.length - open.length, plan.length);
    const directory = store.runDirectory(run.key.replaceAll('/', '_'), attempt);
    const record = await carryOutTraffic({
      experiment,
      laboratory,
      run,
      attempt,
      directory,
      signal,
      onLine,
    });
    store.append(record);
    onRecord(record);
  }
}
