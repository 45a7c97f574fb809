// SPDX-License-Identifier: Apache-2.0
// A trace as the values that it was written from: what the policy knew, what was seen, what was done, how it ended.

import { UsageError } from '../common/index.ts';
import { QEMU_PARAMETERS, SEND_QUEUE_BYTES, SWITCHOVER_MS } from '../model/index.ts';
import type { Objective, Observation, OutcomeKind, PolicyContext, ProfileSample } from '../model/index.ts';
import type { TraceRow } from './rows.ts';
import type { Trace } from './trace-reader.ts';

export interface RecordedAction {
  readonly atMs: number;
  readonly kind: string;
  readonly change: Readonly<Record<string, number>> | null;
  readonly text: string;
  readonly carriedOut: boolean;
}

export interface RecordedOutcome {
  readonly kind: OutcomeKind;
  readonly tmtMs: number | null;
  readonly stopToResumeMs: number | null;
  readonly transferredBytes: number | null;
  readonly rounds: number | null;
  readonly usedPostcopy: boolean;
}

export interface RecordedRun {
  readonly policy: string;
  readonly context: PolicyContext;
  readonly observations: readonly Observation[];
  readonly actions: readonly RecordedAction[];
  /** Null: the trace ends before the migration. */
  readonly outcome: RecordedOutcome | null;
}

/** Of columns that older traces lack. */
const BEFORE_LATER_COLUMNS: Partial<Observation> = {
  lastWindowBytesPerSec: null,
  destinationResumed: null,
  pages: null,
  showsPages: false,
  unsentBytes: null,
};

/** Every column of an observation is one of its fields; `errorText` is not recorded. */
function observationOf({ atMs, fields }: TraceRow): Observation {
  return {
    ...BEFORE_LATER_COLUMNS,
    ...(fields as unknown as Observation),
    dirtySamples: (fields['dirtySamples'] as Observation['dirtySamples'] | null) ?? [],
    atMs,
    errorText: null,
  };
}

function contextOf({ header, rows }: Trace, observations: readonly Observation[]): PolicyContext {
  const row = rows.find(({ type }) => type === 'context');
  const samples = rows
    .filter(({ type }) => type === 'profile')
    .map(({ atMs, fields }) => ({ atMs, ...fields }) as unknown as ProfileSample);
  const written = row?.fields as unknown as PolicyContext | undefined;
  const memoryBytes =
    written?.memoryBytes ?? observations.find(({ totalBytes }) => totalBytes !== null)?.totalBytes ?? 0;
  const objective = (written?.objective ?? header.objective) as unknown as Objective;
  // Traces written before traces had this row: QEMU's own, as nobody sets others in an experiment.
  const mayPostcopy = objective.postcopy !== 'forbidden';
  return {
    objective,
    memoryBytes,
    postcopyReady: written?.postcopyReady ?? mayPostcopy,
    preemptReady: written?.preemptReady ?? mayPostcopy,
    parameters: written?.parameters ?? QEMU_PARAMETERS,
    switchoverMs: written?.switchoverMs ?? SWITCHOVER_MS,
    sendQueueBytes: written?.sendQueueBytes ?? SEND_QUEUE_BYTES,
    shortensQueue: written?.shortensQueue ?? false,
    pacesPostcopy: written?.pacesPostcopy ?? false,
    linkBytesPerSec: written?.linkBytesPerSec ?? null,
    profile: samples.length === 0 ? null : { memoryBytes, samples },
    pages: written?.pages ?? null,
  };
}

/** @throws UsageError where nothing of a migration was recorded */
export function recordedRun(trace: Trace, path: string): RecordedRun {
  const observations = trace.rows.filter(({ type }) => type === 'observation').map(observationOf);
  if (observations.length === 0) {
    throw new UsageError(`${path} has no observation of a migration`, {
      remedy: 'name a trace of a migration that began',
    });
  }
  const outcome = trace.rows.find(({ type }) => type === 'outcome');
  return {
    policy: trace.header.policy,
    context: contextOf(trace, observations),
    observations,
    actions: trace.rows
      .filter(({ type }) => type === 'action')
      .map(({ atMs, fields }) => ({ atMs, ...(fields as unknown as Omit<RecordedAction, 'atMs'>) })),
    outcome: outcome === undefined ? null : (outcome.fields as unknown as RecordedOutcome),
  };
}
