// SPDX-License-Identifier: Apache-2.0
// A trace as the values that it was written from: what the policy knew, what was seen, what was done, how it ended.

import { UsageError } from '../common/index.ts';
import type {
  Objective,
  Observation,
  OutcomeKind,
  ParameterValues,
  PolicyContext,
  ProfileSample,
} from '../model/index.ts';
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

/** QEMU's own defaults, for traces written before traces said what the parameters were. */
const DEFAULT_PARAMETERS: ParameterValues = {
  maxBandwidthBytesPerSec: 134_217_728,
  maxPostcopyBandwidthBytesPerSec: 0,
  downtimeLimitMs: 300,
  availSwitchoverBandwidthBytesPerSec: 0,
  throttleTriggerPercent: 50,
  throttleInitialPercent: 20,
  throttleIncrementPercent: 10,
  throttleMaxPercent: 99,
  xbzrleCacheBytes: 67_108_864,
};
const DEFAULT_SWITCHOVER_MS = 30;
const DEFAULT_SEND_QUEUE_BYTES = 4 * 1024 * 1024;

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
  const mayPostcopy = objective.postcopy !== 'forbidden';
  return {
    objective,
    memoryBytes,
    postcopyReady: written?.postcopyReady ?? mayPostcopy,
    preemptReady: written?.preemptReady ?? mayPostcopy,
    parameters: written?.parameters ?? DEFAULT_PARAMETERS,
    switchoverMs: written?.switchoverMs ?? DEFAULT_SWITCHOVER_MS,
    sendQueueBytes: written?.sendQueueBytes ?? DEFAULT_SEND_QUEUE_BYTES,
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
