// SPDX-License-Identifier: Apache-2.0
// Algorithm 2 of the traffic-aware migration paper (Dayaratne: traffic-aware gang and serial migration), repaired where its
// pseudocode cannot run. docs/traffic.md has each place with our reading, and the worked example below.

import type { Priority, WorkloadLimits } from '../../model/index.ts';
import type { RunningMigration, Shares } from './shares.ts';

/** What one host's NIC was seen to carry, all in bytes per second on the wire. */
export interface ReservationReading {
  /** Everything. */
  readonly totalBytesPerSec: number;
  readonly migrationBytesPerSec: number;
}

/** What is reserved on a host's NIC. */
export interface Reservation {
  /** Null: the workload may take what the migration leaves. */
  readonly workloadCapBytesPerSec: number | null;
  readonly migrationBytesPerSec: number;
}

/** A class has to have something. */
const LEAST_RATIO = 0.01;
/** The migration is at its reservation where it has come so near to it. */
const NEARLY = 0.05;

/**
 * What is reserved before the migration. A migration of high priority takes the workload down to its lower limit, one of medium
 * priority to its upper one, one of low priority not at all.
 *
 * Link 125, limits 25 and 60, workload 80 (MB/s): high: capped at 25, 100 for the migration; medium: capped at 60, 65 for
 * the migration; low: 45 for the migration.
 */
export function reserve(
  priority: Priority,
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  workloadBytesPerSec: number,
): Reservation {
  const limit =
    priority === 'high'
      ? limits.lowerBytesPerSec
      : priority === 'medium'
        ? limits.upperBytesPerSec
        : Number.POSITIVE_INFINITY;
  const isCapped = workloadBytesPerSec > limit;
  const workload = Math.min(workloadBytesPerSec, limit);
  return {
    workloadCapBytesPerSec: isCapped ? limit : null,
    migrationBytesPerSec: Math.max(0, linkBytesPerSec - workload),
  };
}

/**
 * The feedback while it migrates, each second, of medium priority only: where the link is not full and the migration is at its
 * reservation, that grows into what the workload leaves. It never shrinks (the paper's; ours is shares.ts).
 *
 * After the example above (medium, 65 reserved): total 105, migration 65 -> workload 40, reservation 85.
 */
export function growReservation(
  reservation: Reservation,
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  { totalBytesPerSec, migrationBytesPerSec }: ReservationReading,
): Reservation {
  const isFull = totalBytesPerSec >= linkBytesPerSec;
  const isUsed = migrationBytesPerSec >= (1 - NEARLY) * reservation.migrationBytesPerSec;
  if (isFull || !isUsed) return reservation;
  const workload = Math.max(totalBytesPerSec - migrationBytesPerSec, limits.lowerBytesPerSec);
  const migration = Math.max(reservation.migrationBytesPerSec, linkBytesPerSec - workload);
  return { ...reservation, migrationBytesPerSec: migration };
}

/** The algorithm at work, as a fold: what is reserved, and for migrations of which priority; null: nothing yet. */
export type ReservedState = { readonly priority: Priority; readonly reservation: Reservation } | null;

const PRIORITIES: readonly Priority[] = ['high', 'medium', 'low'];

/** Those that run now: where the highest priority among them is another one, it is reserved anew. */
export function reserveFor(
  state: ReservedState,
  running: readonly RunningMigration[],
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  workloadBytesPerSec: number,
): ReservedState {
  const priority = PRIORITIES.find((each) => running.some((migration) => migration.priority === each));
  if (priority === undefined || priority === state?.priority) return state;
  return { priority, reservation: reserve(priority, linkBytesPerSec, limits, workloadBytesPerSec) };
}

/** A second has passed: the feedback, for medium priority alone. */
export function feedBack(
  state: ReservedState,
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  reading: ReservationReading,
): ReservedState {
  if (state?.priority !== 'medium') return state;
  return { ...state, reservation: growReservation(state.reservation, linkBytesPerSec, limits, reading) };
}

/**
 * The classes that carry a reservation out: the migrations have just that, evenly; the workload the rest, up to its cap. Borrowing, and
 * a class for page requests, are not the paper's: of both there is as little as a tree of classes can have.
 */
export function sharesOfReservation(
  { workloadCapBytesPerSec, migrationBytesPerSec }: Reservation,
  linkBytesPerSec: number,
  names: readonly string[],
): Shares {
  const least = linkBytesPerSec * LEAST_RATIO;
  const migration = Math.min(Math.max(least, migrationBytesPerSec), linkBytesPerSec - 2 * least);
  const each = migration / Math.max(1, names.length);
  const ceil = workloadCapBytesPerSec ?? linkBytesPerSec;
  const workload = Math.max(least, Math.min(ceil, linkBytesPerSec - migration - least));
  return {
    requests: { rateBytesPerSec: least, ceilBytesPerSec: migration, order: 1 },
    workload: { rateBytesPerSec: workload, ceilBytesPerSec: Math.max(workload, ceil), order: 1 },
    migrations: new Map(
      names.map((name) => [name, { rateBytesPerSec: each, ceilBytesPerSec: each, order: 1 }]),
    ),
  };
}
