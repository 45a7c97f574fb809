// SPDX-License-Identifier: Apache-2.0
// One migration, measured: the controller's own figures, the guest's silence as its client sees it, the physical floor,
// and whether the guest arrived whole.

import { setTimeout as delay } from 'node:timers/promises';
import type { CoherenceReport } from '../guest/index.ts';
import { MeasureError } from '../image/index.ts';
import type { RunSeries } from '../../src/experiment/index.ts';
import { countNonzeroPages, type ProberReport, startProber } from '../measure/index.ts';
import { runSeries, workPerSec } from '../measure/work-rates.ts';
import { ENDPOINTS, namespaceOf } from '../net/plan.ts';
import { type ControllerResult, runController } from './controller.ts';
import type { Stage } from './stage.ts';

/** Guest-visible downtime: between the two, for the prober's own delays. */
export interface GuestDowntime {
  readonly atLeastMs: number;
  /** The upper end, by which runs are judged. */
  readonly silenceMs: number;
  readonly disturbed: boolean;
}

export interface MeasuredRun {
  readonly controller: ControllerResult;
  readonly guestDowntime: GuestDowntime | null;
  readonly prober: ProberReport;
  /** Moments of the run on the prober's clock (CLOCK_MONOTONIC). */
  readonly moments: {
    readonly watchedFromMs: number;
    /** The migrate command. */
    readonly beganMs: number;
    readonly endedMs: number;
    readonly watchedToMs: number;
  };
  /** Of the guest's work reporter; null where it has none. */
  readonly workPerSec: {
    readonly before: number | null;
    readonly during: number | null;
    readonly after: number | null;
  };
  readonly series: RunSeries;
  readonly floorBytes: number;
  readonly floorMs: number;
  readonly coherence: CoherenceReport;
}

export interface MeasuredRunOptions {
  /** Goodput of one TCP stream on this link, measured in this session. */
  readonly goodputBytesPerSec: number;
  readonly migrateArgs: readonly string[];
  readonly onLine?: (line: string) => void;
  /** How long the guest is watched before the migration; 500 when absent. */
  readonly beforeMs?: number;
  /** And after it; 1500 when absent: post-copy's last faults and the prober's last answers are behind by then. */
  readonly afterMs?: number;
}

const PAGE_BYTES = 4096;
const BEFORE_MS = 500;
const AFTER_MS = 1500;

/**
 * Goodput of one TCP stream on the stage's link, for the floor: the higher of two measurements, because a disturbed one
 * would raise the floor and flatter what is compared with it.
 */
export async function measureFloorGoodput(stage: Stage): Promise<number> {
  const first = await stage.testbed.measureGoodput();
  return Math.max(first, await stage.testbed.measureGoodput());
}

/** The clock of the prober's report. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Migrates the stage's guest to its destination. The guest must be settled; both QEMUs stay as they end up. */
export async function measuredMigration(stage: Stage, options: MeasuredRunOptions): Promise<MeasuredRun> {
  const { tools } = stage.laboratory;
  await stage.warmMemory();
  const { pagesNonzero } = await countNonzeroPages({
    nonzeroPagesPath: tools.nonzeroPagesPath,
    qemuPid: stage.source.pid,
    memoryMib: stage.guest.memoryMib,
  });
  const floorBytes = pagesNonzero * PAGE_BYTES;
  const prober = await startProber({
    proberPath: tools.proberPath,
    netns: namespaceOf(stage.testbed.name, 'client'),
    guestIp: ENDPOINTS.guest.ip,
  });
  let report: ProberReport;
  let controller: ControllerResult;
  let startMonotonicMs = 0;
  let endMonotonicMs = 0;
  try {
    await delay(options.beforeMs ?? BEFORE_MS);
    startMonotonicMs = monotonicMs();
    controller = await runController(
      [
        'migrate',
        ...['--qmp', stage.source.qmpPath, '--dest-qmp', stage.destination.qmpPath],
        ...['--to', stage.uri, '--json'],
        ...options.migrateArgs,
      ],
      options.onLine,
    );
    endMonotonicMs = monotonicMs();
    await delay(options.afterMs ?? AFTER_MS);
  } finally {
    report = await prober.stop();
  }
  // Without this the longest silence would be that of a guest nobody could reach to begin with.
  if (!((report.firstAnswerMonotonicMs ?? Infinity) < startMonotonicMs)) {
    throw new MeasureError('the guest did not answer its client before the migration began');
  }
  const completed = controller.document?.outcome === 'completed';
  const coherence = await stage.withGuest(completed ? stage.destination : stage.source, (guest) =>
    guest.verify(),
  );
  const [silence] = report.silences;
  // From the migrate command, where the controller came so far; its own preparations are not part of the migration.
  const startedAtMs = controller.document?.started_at_ms;
  const beganMs = startedAtMs === undefined ? startMonotonicMs : startedAtMs - report.realtimeOffsetMs;
  const tmtMs = controller.document?.tmt_ms ?? null;
  const endedMs = tmtMs === null ? endMonotonicMs : beganMs + tmtMs;
  const moments = {
    watchedFromMs: report.firstAnswerMonotonicMs ?? startMonotonicMs,
    beganMs,
    endedMs,
    watchedToMs: report.stoppedMonotonicMs,
  };
  const rate = (fromMs: number, toMs: number): number | null => workPerSec(report.work, fromMs, toMs);
  return {
    controller,
    guestDowntime:
      silence === undefined
        ? null
        : { atLeastMs: silence.atLeastMs, silenceMs: silence.silenceMs, disturbed: silence.disturbed },
    prober: report,
    moments,
    workPerSec: {
      before: rate(moments.watchedFromMs, startMonotonicMs),
      during: rate(beganMs, endedMs),
      after: rate(endMonotonicMs, moments.watchedToMs),
    },
    series: runSeries(report, beganMs),
    floorBytes,
    floorMs: (floorBytes / options.goodputBytesPerSec) * 1000,
    coherence,
  };
}
