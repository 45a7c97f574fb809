// SPDX-License-Identifier: Apache-2.0
// What a guest's silence around a switchover by post-copy consists of: from the destination QEMU's trace and the client's
// own figures. Pure.

import { median } from 'simple-statistics';

/** What the destination has to trace (QEMU's log backend, with time stamps). */
export const TRACED = [
  'runstate_set',
  'postcopy_ram_fault_thread_request',
  'postcopy_place_page',
  'postcopy_place_page_zero',
  'qemu_announce_self_iter',
] as const;

export interface Anatomy {
  /** From the client's last answer to STOP: it asks at intervals, and the guest is busy. */
  readonly beforeStopMs: number;
  /** What of STOP to RESUME lies in the silence: nothing where the guest answers between RESUME and its first stall. */
  readonly stopToResumeMs: number;
  /** From RESUME to the first announcement of the guest's address; below 0: before it. */
  readonly announcedMs: number | null;
  /** Pages that the guest waited for between RESUME and the silence's end, how long in all, and each. */
  readonly faults: number;
  readonly stalledMs: number;
  readonly faultMs: number | null;
  /** From RESUME to the silence's end, less the stalls: a guest that runs, and is not yet as fast as it was. */
  readonly runningMs: number;
  /** The same after that answer, while the background push runs. */
  readonly laterFaults: number;
  readonly laterFaultMs: number | null;
}

interface Traced {
  readonly atMs: number;
  readonly name: string;
  readonly text: string;
}

const LINE = /^\d+@(\d+)\.(\d{6}):(\w+) ?(.*)$/;
const PAGE_BYTES = 4096n;

function linesOf(log: string): Traced[] {
  return log.split('\n').flatMap((line) => {
    const [, seconds, micros, name, text] = LINE.exec(line) ?? [];
    if (seconds === undefined || name === undefined) return [];
    return [{ atMs: Number(seconds) * 1000 + Number(micros) / 1000, name, text: text ?? '' }];
  });
}

function pageOf({ text }: Traced): string {
  const address = BigInt(/0x[0-9a-f]+/.exec(text)?.[0] ?? '0');
  return (address / PAGE_BYTES).toString();
}

interface Fault {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Each first request of a page, with the moment at which the page was there. */
function faultsOf(lines: readonly Traced[]): Fault[] {
  const asked = new Map<string, number>();
  const faults: Fault[] = [];
  for (const line of lines) {
    if (line.name === 'postcopy_ram_fault_thread_request') {
      const page = pageOf(line);
      if (!asked.has(page)) asked.set(page, line.atMs);
    } else if (line.name.startsWith('postcopy_place_page')) {
      const fromMs = asked.get(pageOf(line));
      if (fromMs === undefined) continue;
      asked.delete(pageOf(line));
      faults.push({ fromMs, toMs: line.atMs });
    }
  }
  return faults;
}

/** How long at least one of the faults was open. */
function coveredMs(faults: readonly Fault[]): number {
  let covered = 0;
  let untilMs = -Infinity;
  for (const { fromMs, toMs } of [...faults].sort((a, b) => a.fromMs - b.fromMs)) {
    covered += Math.max(0, toMs - Math.max(fromMs, untilMs));
    untilMs = Math.max(untilMs, toMs);
  }
  return covered;
}

function medianMs(faults: readonly Fault[]): number | null {
  return faults.length === 0 ? null : median(faults.map(({ fromMs, toMs }) => toMs - fromMs));
}

/** The parts of a silence, which add up to it. Null where the trace tells of no switchover before its end. */
export function anatomyOf(
  log: string,
  silence: { readonly startRealtimeMs: number; readonly endRealtimeMs: number },
  stopToResumeMs: number,
): Anatomy | null {
  const lines = linesOf(log);
  const resumedMs = lines.find(
    ({ name, text }) => name === 'runstate_set' && text.endsWith('(running)'),
  )?.atMs;
  const { startRealtimeMs: startMs, endRealtimeMs: endMs } = silence;
  if (resumedMs === undefined || resumedMs - stopToResumeMs > endMs) return null;
  const stoppedMs = resumedMs - stopToResumeMs;
  const overlapMs = (fromMs: number, toMs: number): number =>
    Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, startMs));
  const faults = faultsOf(lines).filter(({ toMs }) => toMs > resumedMs);
  const within = faults
    .filter(({ fromMs, toMs }) => fromMs < endMs && toMs > startMs)
    .map(({ fromMs, toMs }) => ({
      fromMs: Math.max(fromMs, resumedMs, startMs),
      toMs: Math.min(toMs, endMs),
    }));
  const later = faults.filter(({ fromMs }) => fromMs >= endMs);
  const announced = lines.find(({ name }) => name === 'qemu_announce_self_iter');
  const stalledMs = coveredMs(within);
  return {
    beforeStopMs: overlapMs(startMs, stoppedMs),
    stopToResumeMs: overlapMs(stoppedMs, resumedMs),
    announcedMs: announced === undefined ? null : announced.atMs - resumedMs,
    faults: within.length,
    stalledMs,
    faultMs: medianMs(within),
    runningMs: overlapMs(resumedMs, endMs) - stalledMs,
    laterFaults: later.length,
    laterFaultMs: medianMs(later),
  };
}
