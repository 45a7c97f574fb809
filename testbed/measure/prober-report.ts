// SPDX-License-Identifier: Apache-2.0
// What the prober says at its end, as typed values. Field names are those of native/host/prober-report.c.
// Monotonic times are CLOCK_MONOTONIC, the clock of process.hrtime.

import { MeasureError } from '../errors.ts';

export interface Silence {
  /** The time between two successive answers less the median reply time. */
  readonly silenceMs: number;
  /** The silence less the prober's own worst delay within it: what a client saw lies between the two. */
  readonly atLeastMs: number;
  readonly startMonotonicMs: number;
  readonly endMonotonicMs: number;
  readonly startRealtimeMs: number;
  readonly endRealtimeMs: number;
  /** How much later than planned the prober itself sent, at worst, within the silence. */
  readonly ownGapMs: number;
  readonly disturbed: boolean;
  readonly lostProbes: number;
  /** The run ended before the guest answered again. */
  readonly open: boolean;
}

export interface WorkReport {
  readonly sequence: number;
  readonly guestMs: number;
  readonly units: number;
  readonly receivedMonotonicMs: number;
}

export interface ProberReport {
  readonly sent: number;
  readonly answered: number;
  readonly sendErrors: number;
  /** Whether the prober had real-time priority. */
  readonly fifo: boolean;
  readonly intervalMs: number;
  readonly medianReplyMs: number;
  readonly ownGapMs: number;
  readonly runDisturbed: boolean;
  readonly startedMonotonicMs: number;
  readonly stoppedMonotonicMs: number;
  /** Absent when the guest never answered. */
  readonly firstAnswerMonotonicMs: number | undefined;
  /** CLOCK_REALTIME less CLOCK_MONOTONIC, and how far that moved during the run. */
  readonly realtimeOffsetMs: number;
  readonly realtimeStepMs: number;
  /** Up to five, longest first; none when the guest never answered. */
  readonly silences: readonly Silence[];
  readonly work: readonly WorkReport[];
}

type Fields = Readonly<Record<string, unknown>>;

function number(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number') {
    throw new MeasureError(`the prober's report: wanted a number ${name}, got ${typeof value}`);
  }
  return value;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== 'boolean') {
    throw new MeasureError(`the prober's report: wanted true or false for ${name}, got ${typeof value}`);
  }
  return value;
}

function list(fields: Fields, name: string): readonly Fields[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new MeasureError(`the prober's report: wanted a list ${name}`);
  return value as readonly Fields[];
}

function readSilence(fields: Fields): Silence {
  return {
    silenceMs: number(fields, 'silenceMs'),
    atLeastMs: number(fields, 'atLeastMs'),
    startMonotonicMs: number(fields, 'startMonotonicMs'),
    endMonotonicMs: number(fields, 'endMonotonicMs'),
    startRealtimeMs: number(fields, 'startRealtimeMs'),
    endRealtimeMs: number(fields, 'endRealtimeMs'),
    ownGapMs: number(fields, 'ownGapMs'),
    disturbed: flag(fields, 'disturbed'),
    lostProbes: number(fields, 'lostProbes'),
    open: flag(fields, 'open'),
  };
}

/** The report out of the prober's standard output: its last line. @throws MeasureError */
export function parseProberReport(stdout: string): ProberReport {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  let fields: Fields;
  try {
    fields = JSON.parse(line) as Fields;
  } catch (error) {
    throw new MeasureError(`the prober ended without a report: "${line.slice(0, 120)}"`, { cause: error });
  }
  return {
    sent: number(fields, 'sent'),
    answered: number(fields, 'answered'),
    sendErrors: number(fields, 'sendErrors'),
    fifo: flag(fields, 'fifo'),
    intervalMs: number(fields, 'intervalMs'),
    medianReplyMs: number(fields, 'medianReplyMs'),
    ownGapMs: number(fields, 'ownGapMs'),
    runDisturbed: flag(fields, 'runDisturbed'),
    startedMonotonicMs: number(fields, 'startedMonotonicMs'),
    stoppedMonotonicMs: number(fields, 'stoppedMonotonicMs'),
    firstAnswerMonotonicMs:
      fields['firstAnswerMonotonicMs'] === null ? undefined : number(fields, 'firstAnswerMonotonicMs'),
    realtimeOffsetMs: number(fields, 'realtimeOffsetMs'),
    realtimeStepMs: number(fields, 'realtimeStepMs'),
    silences: list(fields, 'silences').map(readSilence),
    work: list(fields, 'work').map((report) => ({
      sequence: number(report, 'sequence'),
      guestMs: number(report, 'guestMs'),
      units: number(report, 'units'),
      receivedMonotonicMs: number(report, 'receivedMonotonicMs'),
    })),
  };
}
