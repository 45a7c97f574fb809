// SPDX-License-Identifier: Apache-2.0
// All attempts as CSV (RFC 4180), one line each, for spreadsheets and other people's statistics.

import type { AppFigures, RunRecord } from '../experiment/index.ts';
import { countingRuns, isCompleted } from './result-set.ts';

type Value = string | number | boolean | null | undefined;

/**
 * A field, quoted where it must be. Text that a spreadsheet would take for a formula gets an apostrophe in front: names
 * and reasons come from files and programs, not from us. So does text that begins as if it had one already: whoever takes one
 * off gets back what went in.
 */
function field(value: Value): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const harmless = /^'*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function appColumns(stretch: 'before' | 'during' | 'after'): Record<string, (run: RunRecord) => Value> {
  const figures = (run: RunRecord): AppFigures | null | undefined => run.app?.[stretch];
  return {
    [`appRequestsPerSec_${stretch}`]: (run) => figures(run)?.requestsPerSec,
    [`appP50Ms_${stretch}`]: (run) => figures(run)?.p50Ms,
    [`appP99Ms_${stretch}`]: (run) => figures(run)?.p99Ms,
    [`appErrors_${stretch}`]: (run) => figures(run)?.errors,
  };
}

const COLUMNS: Readonly<Record<string, (run: RunRecord, counts: boolean) => Value>> = {
  kind: (run) => run.kind,
  guest: (run) => run.guest,
  link: (run) => run.link,
  policy: (run) => run.policy,
  repeat: (run) => run.repeat,
  attempt: (run) => run.attempt,
  counts: (_run, counts) => counts,
  startedAt: (run) => run.startedAt,
  outcome: (run) => run.outcome,
  completed: (run) => isCompleted(run),
  capped: (run) => run.capped,
  tmtMs: (run) => run.tmtMs,
  downtimeQemuMs: (run) => run.downtimeQemuMs,
  downtimeStopToResumeMs: (run) => run.downtimeStopToResumeMs,
  downtimeGuestMs: (run) => run.downtimeGuestMs,
  downtimeGuestAtLeastMs: (run) => run.downtimeGuestAtLeastMs,
  downtimeForecastMs: (run) => run.downtimeForecastMs,
  transferredBytes: (run) => run.transferredBytes,
  rounds: (run) => run.rounds,
  usedPostcopy: (run) => run.usedPostcopy,
  floorBytes: (run) => run.floorBytes,
  floorMs: (run) => run.floorMs,
  workPerSec_before: (run) => run.workPerSec.before,
  workPerSec_during: (run) => run.workPerSec.during,
  workPerSec_after: (run) => run.workPerSec.after,
  lostWorkMs: (run) => run.lostWorkMs,
  app: (run) => run.app?.name,
  ...appColumns('before'),
  ...appColumns('during'),
  ...appColumns('after'),
  coherent: (run) => run.coherent,
  lostPages: (run) => run.lostPages,
  lostBlocks: (run) => run.lostBlocks,
  disturbances: (run) => run.disturbances.join('; '),
  stealRatio: (run) => run.stealRatio,
  proberGapMs: (run) => run.proberGapMs,
  clientClockUncertaintyMs: (run) => run.clientClockUncertaintyMs,
  trace: (run) => run.files.trace,
  series: (run) => run.files.series,
  reason: (run) => run.reason,
};

/** A header line and one line for each attempt, in the order of the records; empty where nothing was measured. */
export function renderCsv(records: readonly RunRecord[]): string {
  const counting = new Set(countingRuns(records));
  const lines = [
    Object.keys(COLUMNS),
    ...records.map((run) => Object.values(COLUMNS).map((column) => field(column(run, counting.has(run))))),
  ];
  return lines.map((fields) => `${fields.join(',')}\r\n`).join('');
}
