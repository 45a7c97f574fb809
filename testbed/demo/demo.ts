// SPDX-License-Identifier: Apache-2.0
// The demonstration: a guest that writes faster than the link carries, migrated by stock QEMU and by Slackwater, side by
// side, each from a freshly booted guest.

import { openLaboratory } from '../stage/laboratory.ts';
import { type MeasuredRun, measuredMigration, measureFloorGoodput } from '../stage/measured-run.ts';
import { Stage } from '../stage/stage.ts';

const MIB = 1024 * 1024;

/** 512 MiB, all filled, of which 64 MiB are rewritten at 200 MiB/s: more than 1 Gbit/s carries. */
export const DEMO_GUEST = {
  memoryMib: 512,
  vcpus: 1,
  pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB },
  seed: 1,
  work: false,
  diskBlocksPerSec: 20,
} as const;

const SETTLE_MS = 2000;

interface Contender {
  readonly policy: string;
  readonly args: readonly string[];
}

const CONTENDERS: readonly Contender[] = [
  { policy: 'qemu-default', args: ['--policy', 'qemu-default', '--give-up', '30s'] },
  { policy: 'adaptive', args: ['--policy', 'adaptive'] },
];

/** One run as `--json` prints it; a figure that was not measured is null. */
export interface DemoRun {
  readonly policy: string;
  readonly outcome: string;
  readonly tmt_ms: number | null;
  readonly downtime_qemu_ms: number | null;
  readonly downtime_stop_to_resume_ms: number | null;
  readonly downtime_guest_ms: number | null;
  readonly downtime_guest_at_least_ms: number | null;
  readonly disturbed: boolean;
  readonly transferred_bytes: number | null;
  readonly floor_bytes: number;
  readonly floor_ms: number;
  readonly rounds: number | null;
  readonly coherent: boolean;
}

export interface DemoOptions {
  readonly repeat: number;
  readonly link: string;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface DemoResult {
  readonly accelerator: string;
  readonly acceleratorReason: string;
  readonly goodputBytesPerSec: number;
  readonly runs: readonly DemoRun[];
}

function toDemoRun(policy: string, run: MeasuredRun): DemoRun {
  const { document } = run.controller;
  const completed = document?.outcome === 'completed';
  return {
    policy,
    outcome: document?.outcome ?? 'unknown',
    tmt_ms: document?.tmt_ms ?? null,
    downtime_qemu_ms: document?.downtime_qemu_ms ?? null,
    downtime_stop_to_resume_ms: document?.downtime_stop_to_resume_ms ?? null,
    downtime_guest_ms: completed ? (run.guestDowntime?.silenceMs ?? null) : null,
    downtime_guest_at_least_ms: completed ? (run.guestDowntime?.atLeastMs ?? null) : null,
    disturbed: run.guestDowntime?.disturbed ?? false,
    transferred_bytes: document?.transferred_bytes ?? null,
    floor_bytes: run.floorBytes,
    floor_ms: run.floorMs,
    rounds: document?.rounds ?? null,
    coherent: run.coherence.coherent,
  };
}

/** Runs the contenders in turn, `repeat` times. Everything it makes on the machine is gone when it returns or throws. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { onProgress, signal } = options;
  const laboratory = await openLaboratory(onProgress);
  const { accelerator, reason } = laboratory.accelerator;
  onProgress(`accelerator: ${accelerator} (${reason})`);
  const stage = await Stage.create({ laboratory, guest: DEMO_GUEST, link: options.link, signal });
  const runs: DemoRun[] = [];
  const aborted = (): void => {
    void stage.testbed.down();
  };
  signal.addEventListener('abort', aborted);
  try {
    const goodputBytesPerSec = await measureFloorGoodput(stage);
    onProgress(
      `link ${options.link}: one TCP stream carries ${((goodputBytesPerSec * 8) / 1e6).toFixed(0)} Mbit/s`,
    );
    for (let i = 0; i < options.repeat; i++) {
      for (const { policy, args } of CONTENDERS) {
        signal.throwIfAborted();
        onProgress(
          `${policy}: booting a guest of ${DEMO_GUEST.memoryMib} MiB that rewrites 64 MiB at 200 MiB/s`,
        );
        await stage.boot();
        await stage.addDestination();
        await stage.settle(SETTLE_MS);
        const run = await measuredMigration(stage, {
          goodputBytesPerSec,
          migrateArgs: args,
          onLine: (line) => onProgress(`  ${line}`),
        });
        const { document, stderr } = run.controller;
        if (document === null) throw new Error(`slackwater gave no outcome: ${stderr}`);
        runs.push(toDemoRun(policy, run));
        await stage.clear();
      }
    }
    return { accelerator, acceleratorReason: reason, goodputBytesPerSec, runs };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', aborted);
    await stage.testbed.down();
  }
}
