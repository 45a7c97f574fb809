// SPDX-License-Identifier: Apache-2.0
// What was seen of a guest before its migration: how it dirties its memory, and what else it did meanwhile.

/**
 * What the host tells of a guest over a window. Null: not to be had (a QEMU on another host, a kernel without pressure
 * figures, a guest without a balloon driver).
 */
export interface GuestActivity {
  /** CPU time of the QEMU process per second of the window, all threads: 1 is one core. */
  readonly cpuRatio: number | null;
  /** What the guest's NICs received and sent, per second. */
  readonly receivedBytesPerSec: number | null;
  readonly sentBytesPerSec: number | null;
  /** Of the guest's memory, by its balloon driver's word. */
  readonly memoryInUseBytes: number | null;
  /** Of the guest's memory what is all zero, as a sample of its pages tells: those cross a link as a few bytes each. */
  readonly memoryZeroBytes: number | null;
  /** Share of the last 10 s in which some task of the host waited for a CPU, or for memory, in per cent. */
  readonly hostCpuPressurePercent: number | null;
  readonly hostMemoryPressurePercent: number | null;
}

/** One window of a profile. */
export interface ProfileSample {
  /** When the window ended, in ms on the migration's clock: before the migrate command, so not above 0. */
  readonly atMs: number;
  readonly windowMs: number;
  /** Distinct bytes that the guest wrote within the window. */
  readonly dirtyBytes: number;
  readonly activity: GuestActivity | null;
}

/** The windows in the order in which they ended. A few long ones first, for the curve; then even steps, for the course. */
export interface GuestProfile {
  readonly memoryBytes: number;
  readonly samples: readonly ProfileSample[];
}
