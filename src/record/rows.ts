// SPDX-License-Identifier: Apache-2.0
// The rows of a trace: which columns each kind has, in order. This is the allow-list: what is not named here is not
// written. A change of meaning or order is a new version; columns may be added at the end.

export const TRACE_FORMAT = 'slackwater/trace';
export const TRACE_VERSION = 1;

/** Columns by kind of row; every row is [kind, atMs, ...columns]. Units are in the names. */
export const COLUMNS = {
  observation: [
    'kind',
    'status',
    'round',
    'roundStartMs',
    'endedRoundMs',
    'dirtyAtRoundStartBytes',
    'remainingBytes',
    'totalBytes',
    'transferredBytes',
    'zeroBytes',
    'bandwidthBytesPerSec',
    'pageRequests',
    'qemuDowntimeMs',
    'qemuTotalMs',
    'dirtySamples',
    'destinationResumed',
    'lastWindowBytesPerSec',
    'pages',
    'showsPages',
    'unsentBytes',
  ],
  forecast: [
    'ready',
    'bandwidthBytesPerSec',
    'hotBytes',
    'tauMs',
    'coldBytesPerMs',
    'errorRatio',
    'plateauBytes',
    'precopyNowDowntimeMs',
    'precopyNowTmtMs',
    'postcopyNowTmtMs',
    'precopyNowTmtLowMs',
    'precopyNowTmtHighMs',
    'workingSetConverged',
    'postcopyNowTmtLowMs',
    'postcopyNowTmtHighMs',
  ],
  action: ['kind', 'change', 'text', 'numbers', 'carriedOut', 'options'],
  /** What the policy knew beforehand, once, as the migration begins. */
  context: [
    'objective',
    'memoryBytes',
    'postcopyReady',
    'preemptReady',
    'parameters',
    'switchoverMs',
    'sendQueueBytes',
    'pacesPostcopy',
    'linkBytesPerSec',
    'pages',
    'shortensQueue',
  ],
  /** One window of the guest's profile; its time is before 0. */
  profile: ['windowMs', 'dirtyBytes', 'activity'],
  event: ['end', 'name', 'data', 'qemuMicros'],
  note: ['text'],
  outcome: [
    'kind',
    'reason',
    'tmtMs',
    'qemuTotalMs',
    'qemuDowntimeMs',
    'stopToResumeMs',
    'stopToResumeUncertaintyMs',
    'transferredBytes',
    'rounds',
    'usedPostcopy',
    'forecastDowntimeMs',
  ],
} as const;

export type RowKind = keyof typeof COLUMNS;

/** What the header says of the run besides format and columns. Allow-listed like the rows: no environment, no secrets. */
export interface TraceHeader {
  readonly tool: string;
  readonly policy: string;
  readonly mode: string;
  readonly qemuVersion: string;
  readonly objective: Readonly<Record<string, number | string | null>>;
  /** Wall clock at the start, ms since 1970. */
  readonly startedAtMs: number;
}

/** One row as read back: columns by name. */
export interface TraceRow {
  readonly type: RowKind;
  readonly atMs: number;
  readonly fields: Readonly<Record<string, unknown>>;
}
