// SPDX-License-Identifier: Apache-2.0
// What live tests share: a stage with a booted guest, both ends' settings, and the check that every test ends with.

import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import { connectQmp } from '../../../src/qmp/index.ts';
import { ensurePatchedQemu } from '../../../testbed/image/index.ts';
import { readCpuTimes } from '../../../testbed/experiment/disturbance.ts';
import type { WritePattern } from '../../../src/experiment/index.ts';
import type { Qemu } from '../../../testbed/index.ts';
import {
  type ControllerResult,
  type RunningController,
  runController,
  startController,
} from '../../../testbed/stage/controller.ts';
import { type Laboratory, openLaboratory } from '../../../testbed/stage/laboratory.ts';
import { Stage } from '../../../testbed/stage/stage.ts';

export const MIB = 1024 * 1024;

/** A set of 64 MiB rewritten faster than 1 Gbit/s carries: pre-copy never converges. */
export const HOT: WritePattern = { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB };
/** The same set, slowly: pre-copy converges, also where a busy machine carries a third of the link's rate. */
export const WARM: WritePattern = { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 8 * MIB };
/** A small set that is always dirty. */
export const SMALL: WritePattern = { kind: 'steady', setBytes: 1 * MIB, rateBytesPerSec: 20 * MIB };

/** The suite runs on stock QEMU, and again on the patched one. */
export const ON_PATCHED = process.env['SLACKWATER_TEST_QEMU'] === 'patched';

let laboratory: Promise<Laboratory> | undefined;

/** A testbed with a guest that runs; gone with the test. */
export async function stageWith(
  test: Test,
  pattern: WritePattern,
  options: { memoryMib?: number; vcpus?: number; link?: string; gdb?: boolean; qemuPath?: string } = {},
): Promise<Stage> {
  const onProgress = (line: string): void => test.comment(line);
  laboratory ??= openLaboratory(onProgress);
  const qemuPath = options.qemuPath ?? (ON_PATCHED ? await ensurePatchedQemu({ onProgress }) : undefined);
  const stage = await Stage.create({
    laboratory: await laboratory,
    guest: {
      memoryMib: options.memoryMib ?? 256,
      vcpus: options.vcpus ?? 1,
      pattern,
      seed: 7,
      work: false,
      diskBlocksPerSec: 20,
    },
    link: options.link ?? 'lan-1g',
    ...(qemuPath === undefined ? {} : { qemuPath }),
  });
  test.teardown(() => stage.testbed.down());
  await stage.boot({ gdb: options.gdb ?? false });
  return stage;
}

export type QemuSettings = Readonly<Record<string, unknown>>;

/** All migration parameters and capabilities of a QEMU, over the testbed's own monitor. */
export async function readSettings(qemu: Qemu): Promise<QemuSettings> {
  await using client = await connectQmp(qemu.monitorPath);
  const parameters = await client.execute('query-migrate-parameters');
  const capabilities = await client.execute('query-migrate-capabilities');
  return {
    parameters,
    capabilities: Object.fromEntries(capabilities.map((each) => [each.capability, each.state])),
  };
}

/** The settings once they are as wanted, or as they are after 10 s: a guardian may still be at work. */
export async function settingsBecome(qemu: Qemu, wanted: QemuSettings): Promise<QemuSettings> {
  for (let attempt = 0; ; attempt++) {
    const now = await readSettings(qemu);
    if (attempt >= 100 || isDeepStrictEqual(now, wanted)) return now;
    await delay(100);
  }
}

/** The migration's state at a QEMU, over the testbed's own monitor. */
export async function migrationStatus(qemu: Qemu): Promise<string> {
  await using client = await connectQmp(qemu.monitorPath);
  return (await client.execute('query-migrate')).status ?? 'none';
}

/** Whether a QEMU's guest runs, waits for a migration or is paused, over the testbed's own monitor. */
export async function runState(qemu: Qemu): Promise<string> {
  await using client = await connectQmp(qemu.monitorPath);
  return (await client.execute('query-status')).status;
}

function migrateArgs(stage: Stage, more: readonly string[]): string[] {
  return [
    'migrate',
    ...['--qmp', stage.source.qmpPath, '--dest-qmp', stage.destination.qmpPath],
    ...['--to', stage.uri, '--json'],
    ...more,
  ];
}

export interface Migrated extends ControllerResult {
  /**
   * What the machine's own host took of its CPUs meanwhile. No controller can foresee it, so where a test compares two
   * durations of one migration it grants this on top: none on a quiet machine.
   */
  readonly stolenMs: number;
}

const MS_PER_TICK = 10;

export async function migrate(stage: Stage, ...more: readonly string[]): Promise<Migrated> {
  const before = readCpuTimes();
  const result = await runController(migrateArgs(stage, more));
  return { ...result, stolenMs: (readCpuTimes().stealTicks - before.stealTicks) * MS_PER_TICK };
}

export function startMigrate(stage: Stage, ...more: readonly string[]): RunningController {
  return startController(migrateArgs(stage, more));
}

/** The check that every live test ends with: no page and no block of the guest is lost or stale, and it still works. */
export async function checkCoherence(test: Test, stage: Stage, where: Qemu): Promise<void> {
  const report = await stage.withGuest(where, (guest) => guest.verify());
  test.same(
    {
      badPages: report.badPages,
      badPageCount: report.badPageCount,
      badBlocks: report.badBlocks,
      badBlockCount: report.badBlockCount,
      diskErrors: report.diskErrors,
    },
    { badPages: [], badPageCount: 0, badBlocks: [], badBlockCount: 0, diskErrors: 0 },
    'memory and disk are coherent',
  );
  test.ok(
    report.hotPages > 0 && report.coldPages > 0 && report.diskBlocks > 0,
    'and the check saw all three',
  );
}
