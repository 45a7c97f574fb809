// SPDX-License-Identifier: Apache-2.0
// The fields of a query-migrate reply that we use, with units, null where QEMU did not report them. The only place where
// QEMU's spelling and its mixture of units (ms, Mbit/s, pages) are known.

import type { MigrationStatus } from '../model/index.ts';

export interface MigrationInfo {
  readonly status: MigrationStatus;
  readonly round: number;
  readonly remainingBytes: number | null;
  readonly totalBytes: number | null;
  readonly transferredBytes: number | null;
  readonly zeroBytes: number | null;
  readonly normalBytes: number | null;
  readonly pageRequests: number | null;
  readonly expectedDowntimeMs: number | null;
  /** Throughput of QEMU's last 100 ms. */
  readonly lastWindowBytesPerSec: number | null;
  /** Only when completed. */
  readonly downtimeMs: number | null;
  readonly totalMs: number | null;
  readonly errorText: string | null;
}

/** The shape of a query-migrate reply, as far as it is read here. */
export interface QueryMigrateReply {
  readonly status?: string;
  readonly 'total-time'?: number;
  readonly downtime?: number;
  readonly 'expected-downtime'?: number;
  readonly 'error-desc'?: string;
  readonly ram?: {
    readonly transferred?: number;
    readonly remaining?: number;
    readonly total?: number;
    readonly duplicate?: number;
    readonly 'normal-bytes'?: number;
    readonly mbps?: number;
    readonly 'dirty-sync-count'?: number;
    readonly 'postcopy-requests'?: number;
    readonly 'page-size'?: number;
  };
}

export function readMigrationInfo(reply: QueryMigrateReply): MigrationInfo {
  const ram = reply.ram ?? {};
  const status = reply.status ?? 'none';
  const completed = status === 'completed';
  const pageSize = ram['page-size'] ?? 4096;
  return {
    status,
    round: ram['dirty-sync-count'] ?? 0,
    remainingBytes: ram.remaining ?? null,
    totalBytes: ram.total ?? null,
    transferredBytes: ram.transferred ?? null,
    zeroBytes: ram.duplicate === undefined ? null : ram.duplicate * pageSize,
    normalBytes: ram['normal-bytes'] ?? null,
    pageRequests: ram['postcopy-requests'] ?? null,
    expectedDowntimeMs: reply['expected-downtime'] ?? null,
    // mbps is in 10^6 bit/s.
    lastWindowBytesPerSec: ram.mbps === undefined ? null : ram.mbps * 125_000,
    downtimeMs: completed ? (reply.downtime ?? null) : null,
    totalMs: completed ? (reply['total-time'] ?? null) : null,
    errorText: reply['error-desc'] ?? null,
  };
}

/**
 * QEMU 7.2 and 8.2 set `completed` before the final figures: such a reply is to be asked for again. A migration takes
 * at least a millisecond, so a total time of 0 is that race.
 */
export function isFinal(info: MigrationInfo): boolean {
  return info.status !== 'completed' || (info.totalMs !== null && info.totalMs > 0);
}
