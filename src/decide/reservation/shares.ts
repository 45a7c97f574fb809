// SPDX-License-Identifier: Apache-2.0
// Our reservation: what each class of traffic is promised, and who may borrow first what others leave. The kernel keeps the
// promises packet by packet; bandwidth that the workload does not want is the migration's at once, and given back at once.

import type { Priority, WorkloadLimits } from '../../model/index.ts';

export interface RunningMigration {
  readonly name: string;
  readonly priority: Priority;
  /** In switchover or post-copy, or late: it has what the floor leaves, whatever its priority. */
  readonly urgent: boolean;
}

/** Rates on the wire; of what is left, classes of a lower `order` borrow first. */
export interface Share {
  readonly rateBytesPerSec: number;
  readonly ceilBytesPerSec: number;
  readonly order: number;
}

export interface Shares {
  readonly workload: Share;
  /** Page requests of post-copy and their answers: never behind a stream. */
  readonly requests: Share;
  readonly migrations: ReadonlyMap<string, Share>;
}

/** Page requests are answered with a few MB in all: a small promise, and the right to borrow before everybody else. */
const REQUESTS_RATIO = 0.02;
/** So much of the link every migration has, or it would stand still, and QEMU's connection with it; many of them share the other. */
const LEAST_RATIO = 0.01;
const LEAST_RATIO_OF_ALL = 0.04;
/**
 * A floor is promised with a little more: the kernel's shaper, late by a timer now and then, then still gives 95 % of it in every
 * tenth of a second (with the floor itself it missed that in 1 to 2 of 100).
 */
const FLOOR_MARGIN = 1.04;

const RANK: Readonly<Record<Priority, number>> = { high: 0, medium: 1, low: 2 };

const ORDER = { requests: 0, first: 1, last: 7 } as const;

/** What the workload is promised under a migration of some priority; `forMigrations` is the least that those need. */
function promised(
  priority: Priority,
  linkBytesPerSec: number,
  { lowerBytesPerSec, upperBytesPerSec }: WorkloadLimits,
  forMigrations: number,
): number {
  const most = linkBytesPerSec - forMigrations;
  const floor = Math.min(most, lowerBytesPerSec * FLOOR_MARGIN);
  const wanted = { high: floor, medium: upperBytesPerSec, low: most }[priority];
  return Math.max(Math.min(wanted, most), floor, lowerBytesPerSec);
}

/**
 * Shares of one direction of a NIC. `inOrder`: migrations have what is left in their order, one after the other; else evenly.
 * Limits that leave nothing for a migration are the caller's to refuse.
 *
 * Link 125, limits 25 and 60 (MB/s), two migrations of medium priority in order: requests 2.5, workload 60, the second
 * migration 1.25, the first the other 61.25; of what the workload leaves of its 60 the first borrows first.
 */
export function sharesOf(
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  migrations: readonly RunningMigration[],
  inOrder: boolean,
): Shares {
  const requests = linkBytesPerSec * REQUESTS_RATIO;
  const count = Math.max(1, migrations.length);
  const least = linkBytesPerSec * Math.min(LEAST_RATIO, LEAST_RATIO_OF_ALL / count);
  const highest = migrations.reduce<Priority>(
    (best, { priority, urgent }) =>
      RANK[urgent ? 'high' : priority] < RANK[best] ? (urgent ? 'high' : priority) : best,
    'low',
  );
  // Without a floor it still has a class, and a class has something.
  const workload = Math.max(least, promised(highest, linkBytesPerSec, limits, requests + least * count));
  const rest = Math.max(least * count, linkBytesPerSec - requests - workload);
  // Beyond its promise a workload borrows before a migration of low priority, and after any other.
  const workloadFirst = highest === 'low';
  const urgentFirst = [...migrations].sort((a, b) => Number(b.urgent) - Number(a.urgent));
  const shares = urgentFirst.map(({ name }, i): [string, Share] => {
    const rate = inOrder ? (i === 0 ? rest - least * (count - 1) : least) : rest / count;
    const order = ORDER.first + (workloadFirst ? 1 : 0) + (inOrder ? i : 0);
    return [
      name,
      {
        rateBytesPerSec: rate,
        ceilBytesPerSec: linkBytesPerSec,
        order: Math.min(order, ORDER.last),
      },
    ];
  });
  return {
    requests: { rateBytesPerSec: requests, ceilBytesPerSec: linkBytesPerSec, order: ORDER.requests },
    workload: {
      rateBytesPerSec: workload,
      ceilBytesPerSec: linkBytesPerSec,
      order: workloadFirst ? ORDER.first : ORDER.last,
    },
    migrations: new Map(shares),
  };
}

/** What QEMU's own limit has to be where the kernel cannot shape: what the workload leaves, as one stream carries it. */
export function limitWithoutShaping(
  linkBytesPerSec: number,
  limits: WorkloadLimits,
  migration: RunningMigration,
  others: { readonly migrations: number; readonly workloadBytesPerSec: number },
): number {
  const priority = migration.urgent ? 'high' : migration.priority;
  const keep = promised(priority, linkBytesPerSec, limits, linkBytesPerSec * LEAST_RATIO * others.migrations);
  // A workload that is held down shows less than it wants: it keeps a tenth more than it has, so that it can grow.
  const workload = Math.max(limits.lowerBytesPerSec, Math.min(keep, others.workloadBytesPerSec * 1.1));
  return Math.max(
    linkBytesPerSec * LEAST_RATIO,
    (linkBytesPerSec - workload) / Math.max(1, others.migrations),
  );
}
