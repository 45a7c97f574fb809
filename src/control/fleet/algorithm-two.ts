// SPDX-License-Identifier: Apache-2.0
// The traffic-aware paper's Algorithm 2 at work: reserved when the first of a group begins, fed back each second.

import {
  growReservation,
  reserve,
  type Reservation,
  type RunningMigration,
  type Shares,
  sharesOfReservation,
} from '../../decide/index.ts';
import type { GangSituation, HostTraffic, Priority } from '../../model/index.ts';
import { type GangPlanFile, shapedLink } from './plan.ts';

const NAMES: readonly Priority[] = ['high', 'medium', 'low'];

export class AlgorithmTwo {
  readonly #file: GangPlanFile;
  readonly #situation: GangSituation;
  #priority: Priority | null = null;
  #reservation: Reservation | null = null;

  constructor(file: GangPlanFile, situation: GangSituation) {
    this.#file = file;
    this.#situation = situation;
  }

  get #link(): number {
    return shapedLink(this.#file);
  }

  /** A second has passed: the feedback, for medium priority alone. */
  observe({ nic, migration }: HostTraffic): void {
    if (this.#reservation === null || this.#priority !== 'medium') return;
    this.#reservation = growReservation(this.#reservation, this.#link, this.#file.limits, {
      totalBytesPerSec: nic.sentBytesPerSec,
      migrationBytesPerSec: migration.sentBytesPerSec,
    });
  }

  /** For those that run, by the highest priority among them. */
  sharesFor(running: readonly RunningMigration[]): Shares | null {
    const priority = NAMES.find((name) => running.some((each) => each.priority === name)) ?? null;
    if (priority === null) return null;
    if (priority !== this.#priority || this.#reservation === null) {
      const { source, destination } = this.#situation;
      const workload = Math.max(
        source.traffic.workload.sentBytesPerSec,
        destination.traffic.workload.receivedBytesPerSec,
      );
      this.#priority = priority;
      this.#reservation = reserve(priority, this.#link, this.#file.limits, workload);
    }
    const names = running.map(({ name }) => name);
    return sharesOfReservation(this.#reservation, this.#link, names);
  }
}
