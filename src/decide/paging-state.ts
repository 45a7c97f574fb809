// SPDX-License-Identifier: Apache-2.0
// What the adaptive policy remembers between two looks at the pages of a patched QEMU.

export interface PagingState {
  /** The bandwidth that QEMU was told to judge a switchover by; null: none yet. */
  readonly toldBytesPerSec: number | null;
  /** Whether the switchover is held; once it is not, QEMU takes it as soon as it fits. */
  readonly held: boolean;
  /** Whether the pages are looked at within rounds, too. */
  readonly sampling: boolean;
  /** When the deferred set was chosen last. */
  readonly chosenAtMs: number;
  /** What was left to send in rounds at the end of the last one; null before the first. */
  readonly residualBytes: number | null;
}
