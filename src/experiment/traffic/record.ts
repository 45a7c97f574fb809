// SPDX-License-Identifier: Apache-2.0
// What is kept of a traffic run: the gang's own document, and what went over the NICs and between those that stay, in windows.

import type { TrafficEnd } from './scenario.ts';

export const TRAFFIC_RUN_SCHEMA = 'slackwater/traffic-run@1';

/** The document of `slackwater gang --json`, as far as it is used here. */
export interface GangDocument {
  readonly exit_code: number;
  readonly tmt_ms: number | null;
  readonly downtime_sum_ms: number | null;
  readonly downtime_max_ms: number | null;
  readonly not_restored: readonly string[];
  readonly vms: readonly {
    readonly name: string;
    readonly priority: 'high' | 'medium' | 'low';
    readonly technique: string | null;
    readonly start_ms: number | null;
    readonly end_ms: number | null;
    readonly deadline_met: boolean | null;
    readonly migration: {
      readonly outcome: string;
      readonly started_at_ms: number;
      readonly tmt_ms: number | null;
      readonly downtime_stop_to_resume_ms: number | null;
      readonly transferred_bytes: number | null;
      readonly used_postcopy: boolean;
    };
  }[];
}

/** A NIC's use in even windows, in bytes on the wire. */
export interface NicWindows {
  readonly startMs: number;
  readonly windowMs: number;
  readonly sentBytes: readonly number[];
  readonly receivedBytes: readonly number[];
}

/** What one end of a flow counted, in even windows, on the wire. */
export interface FlowWindows {
  /** CLOCK_MONOTONIC of the first window's begin, in ms. */
  readonly startMs: number;
  readonly windowMs: number;
  readonly bytes: readonly number[];
  readonly packets: number;
}

export interface FlowRecord {
  readonly from: TrafficEnd;
  readonly to: TrafficEnd;
  /** The offer. */
  readonly sent: FlowWindows;
  readonly received: FlowWindows;
}

/** Answers that the client waited for while guests migrated, in ms. */
export interface ProbeFigures {
  readonly count: number;
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface TrafficRecord {
  readonly schema: typeof TRAFFIC_RUN_SCHEMA;
  readonly case: string;
  readonly policy: string;
  readonly repeat: number;
  readonly attempt: number;
  readonly startedAt: string;
  readonly outcome: 'carried-out' | 'failed';
  readonly reason: string;
  readonly gang: GangDocument | null;
  /** CLOCK_MONOTONIC of the migrations' first begin and last end; null where none was. */
  readonly beganMs: number | null;
  readonly endedMs: number | null;
  /** What the source's link carried, behind its shaper: what the switch's queue dropped is not in it. */
  readonly source: NicWindows | null;
  readonly flows: readonly FlowRecord[];
  readonly probes: { readonly before: ProbeFigures | null; readonly during: ProbeFigures | null } | null;
  readonly coherent: boolean | null;
  readonly disturbances: readonly string[];
}

/** Lines of `runs.jsonl`; a line that is none of ours is an error. */
export function parseTrafficRecords(text: string): TrafficRecord[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => {
      const record = JSON.parse(line) as TrafficRecord;
      if ((record.schema as string) !== TRAFFIC_RUN_SCHEMA)
        throw new Error(`line ${i + 1}: expected ${TRAFFIC_RUN_SCHEMA}, got ${record.schema}`);
      return record;
    });
}
