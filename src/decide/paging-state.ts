// SPDX-License-Identifier: Apache-2.0
// What the adaptive policy remembers between two looks at the pages of a patched QEMU.

import type { Carried } from './carried.ts';
import type { FirstWrites } from './first-writes.ts';
import type { FreshDirt } from './fresh-dirt.ts';

/** What is still to be sent at a sync: what was left out (deferred), and the rest of the pass (residual). */
export interface LeftToSend {
  readonly deferredBytes: number;
  readonly residualBytes: number;
  readonly bandwidthBytesPerSec: number;
  /** Of a downtime, what is not transfer. */
  readonly overheadMs: number;
}

/** Post-copy at that moment, with what will be left then. */
export interface Departure {
  readonly atMs: number;
  readonly left: LeftToSend;
}

/** What the deferred set was chosen for. */
export type EndsBy = 'precopy' | 'postcopy' | 'none';

export interface PagingState {
  /** The bandwidth that QEMU was told to judge a switchover by; null: none yet. */
  readonly toldBytesPerSec: number | null;
  /** Whether the switchover is held; once it is not, QEMU takes it as soon as it fits. */
  readonly held: boolean;
  /** Whether the pages are looked at within rounds, too. */
  readonly sampling: boolean;
  /** When the deferred set was chosen last. */
  readonly chosenAtMs: number;
  readonly endsBy: EndsBy;
  /** Pages of at least this heat are left out; null: none. */
  readonly leastHeat: number | null;
  /** Post-copy before the pass has ended; null: not decided yet. */
  readonly departure: Departure | null;
  /** What was left to send in rounds at the end of the last one; null before the first. */
  readonly residualBytes: number | null;
  /** Null: nothing was sent yet. */
  readonly carried: Carried | null;
  /** Null: no pages were seen yet. */
  readonly freshDirt: FreshDirt | null;
  /** Null: no pages were seen yet. */
  readonly firstWrites: FirstWrites | null;
}
