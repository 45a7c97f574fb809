// SPDX-License-Identifier: Apache-2.0
// What the windows of a traffic run say: whether floors were kept, how much of the link was used, when all was over.

import type { FlowWindows, TrafficRecord } from '../../experiment/index.ts';
import { PRIORITY_WEIGHTS } from '../../model/index.ts';

/** Of a floor or an offer, so much has to arrive in a window. */
const KEPT_RATIO = 0.95;
/** After a step of the offer the link has a second to be full again. */
const SETTLING_MS = 1000;

/** Windows that lie between two moments as a whole, as their numbers. */
function windowsWithin(
  {
    startMs,
    windowMs,
    count,
  }: { readonly startMs: number; readonly windowMs: number; readonly count: number },
  fromMs: number,
  toMs: number,
): number[] {
  return Array.from({ length: count }, (_, i) => i).filter(
    (i) => startMs + i * windowMs >= fromMs && startMs + (i + 1) * windowMs <= toMs,
  );
}

/** Bytes within two moments of what is counted in windows, in proportion to how they overlap. */
export function bytesWithin(
  { startMs, windowMs, bytes }: Pick<FlowWindows, 'startMs' | 'windowMs' | 'bytes'>,
  fromMs: number,
  toMs: number,
): number {
  let sum = 0;
  const first = Math.max(0, Math.floor((fromMs - startMs) / windowMs));
  for (let i = first; i < bytes.length && startMs + i * windowMs < toMs; i++) {
    const begin = Math.max(fromMs, startMs + i * windowMs);
    const end = Math.min(toMs, startMs + (i + 1) * windowMs);
    if (end > begin) sum += ((bytes[i] ?? 0) * (end - begin)) / windowMs;
  }
  return sum;
}

/** Flows that leave through the NIC of which the floor is: those of the VMs that stay at the source. */
export function leavingSource({ flows }: Pick<TrafficRecord, 'flows'>): TrafficRecord['flows'] {
  return flows.filter(({ from }) => from === 'near-src');
}

/**
 * The share of windows during the migrations in which of what leaves the source at least 95 % of the floor arrives, or of the offer
 * where that is less. Several flows share one floor. Null where there is nothing to hold against it.
 */
export function floorKeptRatio(record: TrafficRecord, floorBytesPerSec: number): number | null {
  const { beganMs, endedMs } = record;
  const flows = leavingSource(record);
  const [first] = flows;
  if (beganMs === null || endedMs === null || first === undefined) return null;
  // The sender's windows: a receiver counts none after what arrived last.
  const { startMs, windowMs, bytes } = first.sent;
  const windows = windowsWithin({ startMs, windowMs, count: bytes.length }, beganMs, endedMs);
  if (windows.length === 0) return null;
  const kept = windows.filter((i) => {
    const [fromMs, toMs] = [startMs + i * windowMs, startMs + (i + 1) * windowMs];
    const sum = (of: 'sent' | 'received'): number =>
      flows.reduce((total, flow) => total + bytesWithin(flow[of], fromMs, toMs), 0);
    return sum('received') >= KEPT_RATIO * Math.min((floorBytesPerSec * windowMs) / 1000, sum('sent'));
  });
  return kept.length / windows.length;
}

/** When a flow's offer stepped, on the monotonic clock. */
export interface OfferSteps {
  readonly atMs: readonly number[];
}

/**
 * How much of the link the source's NIC used while guests migrated, the second after each step of the offer left out: the mean
 * over windows of what was sent. Null where there are no windows.
 */
export function linkUseRatio(
  { source, beganMs, endedMs }: Pick<TrafficRecord, 'source' | 'beganMs' | 'endedMs'>,
  linkBytesPerSec: number,
  { atMs }: OfferSteps,
): number | null {
  if (source === null || beganMs === null || endedMs === null) return null;
  const { startMs, windowMs, sentBytes } = source;
  const windows = windowsWithin({ startMs, windowMs, count: sentBytes.length }, beganMs, endedMs).filter(
    (i) => {
      const begin = startMs + i * windowMs;
      return [beganMs, ...atMs].every((step) => begin < step || begin >= step + SETTLING_MS);
    },
  );
  if (windows.length === 0) return null;
  const sent = windows.reduce((sum, i) => sum + (sentBytes[i] ?? 0), 0);
  return sent / ((windows.length * windowMs * linkBytesPerSec) / 1000);
}

/** From the first migration's begin to the last one's end; null where none was. */
export function totalMs({ beganMs, endedMs }: Pick<TrafficRecord, 'beganMs' | 'endedMs'>): number | null {
  return beganMs === null || endedMs === null ? null : endedMs - beganMs;
}

/** Sum over the VMs of weight times the moment at which each was migrated, from the first begin on; null unless all completed. */
export function weightedCompletionMs({ gang }: Pick<TrafficRecord, 'gang'>): number | null {
  if (gang === null || gang.vms.some(({ migration }) => migration.outcome !== 'completed')) return null;
  const beganMs = Math.min(...gang.vms.map(({ migration }) => migration.started_at_ms));
  return gang.vms.reduce(
    (sum, { priority, migration: { started_at_ms, tmt_ms } }) =>
      sum + PRIORITY_WEIGHTS[priority] * (started_at_ms + (tmt_ms ?? 0) - beganMs),
    0,
  );
}

/** Deadlines met and deadlines there are. */
export function deadlinesOf({ gang }: Pick<TrafficRecord, 'gang'>): {
  readonly met: number;
  readonly all: number;
} {
  const with_ = (gang?.vms ?? []).filter(({ deadline_met }) => deadline_met !== null);
  return { met: with_.filter(({ deadline_met }) => deadline_met === true).length, all: with_.length };
}
