// SPDX-License-Identifier: Apache-2.0
// What a measured migration needs of the place where it happens: namespaces of this machine, or real machines.

import type { CoherenceReport, GuestSpec } from '../guest/index.ts';
import type { KvloadSettings, ProberReport, RunningKvload } from '../measure/index.ts';

/** The clock that the prober's report and the load's rows count by: CLOCK_MONOTONIC where the guest's client runs. */
export interface ClientClock {
  /** From a moment of this process's CLOCK_MONOTONIC. */
  readonly fromMonotonicMs: (ms: number) => number;
  /** From a moment of this machine's wall clock. */
  readonly fromRealtimeMs: (ms: number) => number;
  /** How far both may be off; null: the client runs on this machine. */
  readonly uncertaintyMs: number | null;
}

export interface StageProber {
  /** Returns once the guest has answered for the first time. @throws MeasureError when it does not */
  answered(): Promise<void>;
  /** @throws MeasureError when it died before */
  stop(): Promise<{ readonly report: ProberReport; readonly clock: ClientClock }>;
}

export interface LoadOptions {
  readonly settings: KvloadSettings;
  readonly seed: number;
  readonly signal: AbortSignal;
}

export interface MigrationStage {
  readonly guest: GuestSpec;
  /** Whether the guest has a disk, which is checked with its memory. */
  readonly hasDisk: boolean;
  /** Aborted when a machine of it cannot be used any more; null: it is all on this machine. */
  readonly lost: AbortSignal | null;
  /** The monitors for the controller, as it takes their addresses. */
  readonly monitors: { readonly source: string; readonly destination: string };
  /** Where the destination is to listen for the migration. */
  readonly uri: string;
  /** Boots the guest on its source and waits until it is at work. @throws GuestControlError */
  boot(): Promise<void>;
  /** Starts a QEMU that waits for the guest. */
  addDestination(): Promise<unknown>;
  /** Lets the guest run for a while, so that each run starts in the same phase. */
  settle(ms: number): Promise<void>;
  /** Has as much memory as the guest has present in the machines. */
  warmMemory(): Promise<void>;
  /** Pages of the source's guest that hold anything but zeros, at this moment. */
  countNonzeroPages(): Promise<number>;
  /** Bytes per second of one TCP stream from source to destination. */
  measureGoodput(): Promise<number>;
  /** Asks the guest, from its client, until it is stopped. */
  startProber(): Promise<StageProber>;
  /** Starts the clients of the guest's application. */
  startLoad(options: LoadOptions): Promise<RunningKvload>;
  /** Has the guest check itself where it is. @throws GuestControlError */
  verifyGuest(where: 'source' | 'destination'): Promise<CoherenceReport>;
  /** The first line of /proc/stat of each machine that a guest runs on. */
  readCpuLines(): Promise<readonly string[]>;
  /** Copies QEMU's logs and the guest's consoles into a folder of this machine. */
  keepLogs(folder: string): Promise<void>;
  /** Ends and removes all of it; harmless when it is gone. */
  down(): Promise<void>;
}
