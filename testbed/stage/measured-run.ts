// SPDX-License-Identifier: Apache-2.0
// One migration, measured: the controller's own figures, the guest's silence as its client sees it, the physical floor,
// and whether the guest arrived whole.

import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../src/index.ts';
import type { CoherenceReport } from '../guest/index.ts';
import { MeasureError } from '../image/index.ts';
import type { RunSeries } from '../../src/experiment/index.ts';
import type { ProberReport } from '../measure/index.ts';
import { lostWorkMs, runSeries, workPerSec } from '../measure/work-rates.ts';
import { type ControllerResult, startController } from './controller.ts';
import type { ClientClock, MigrationStage } from './migration-stage.ts';

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
  /** How far `moments` may be off; null: the client runs on the controller's machine. */
  readonly clientClockUncertaintyMs: number | null;
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
  /** From the request to the end of the watch, at the rate before; null without a work reporter. */
  readonly lostWorkMs: number | null;
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
// It asks for what is lost until its own deadlines; then nobody has a use for it.
const LOST_GRACE_MS = 60_000;

/**
 * Goodput of one TCP stream on the stage's link, for the floor: the higher of two measurements, because a disturbed one
 * would raise the floor and flatter what is compared with it.
 */
export async function measureFloorGoodput(stage: MigrationStage): Promise<number> {
  const first = await stage.measureGoodput();
  return Math.max(first, await stage.measureGoodput());
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** How the migration ended, in words. */
function endOf({ document, stderr }: ControllerResult): string {
  return document === null
    ? `slackwater gave no outcome: ${stderr.trim().slice(-500)}`
    : `the migration ended ${document.outcome} (${document.reason})`;
}

/** Runs the controller to its end, which comes sooner when the stage is lost. */
async function control(
  stage: MigrationStage,
  { migrateArgs, onLine }: MeasuredRunOptions,
): Promise<ControllerResult> {
  const { source, destination } = stage.monitors;
  const ends = ['--qmp', source, '--dest-qmp', destination, '--to', stage.uri];
  const { child, ended } = startController(['migrate', ...ends, '--json', ...migrateArgs], onLine);
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), LOST_GRACE_MS);
  };
  stage.lost?.addEventListener('abort', end);
  if (stage.lost?.aborted === true) end();
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
    stage.lost?.removeEventListener('abort', end);
    stage.lost?.throwIfAborted();
  }
}

/** Migrates the stage's guest to its destination. The guest must be settled; both QEMUs stay as they end up. */
export async function measuredMigration(
  stage: MigrationStage,
  options: MeasuredRunOptions,
): Promise<MeasuredRun> {
  await stage.warmMemory();
  const floorBytes = (await stage.countNonzeroPages()) * PAGE_BYTES;
  const prober = await stage.startProber();
  let watched: { readonly report: ProberReport; readonly clock: ClientClock };
  let controller: ControllerResult;
  let started = 0;
  let ended = 0;
  try {
    // Else the longest silence would be that of a guest nobody could reach to begin with.
    await prober.answered();
    await delay(options.beforeMs ?? BEFORE_MS);
    started = monotonicMs();
    controller = await control(stage, options);
    ended = monotonicMs();
    await delay(options.afterMs ?? AFTER_MS);
  } finally {
    watched = await prober.stop();
  }
  const { report, clock } = watched;
  const startMonotonicMs = clock.fromMonotonicMs(started);
  const endMonotonicMs = clock.fromMonotonicMs(ended);
  const completed = controller.document?.outcome === 'completed';
  const coherence = await stage.verifyGuest(completed ? 'destination' : 'source').catch((error: unknown) => {
    throw new MeasureError(`${endOf(controller)}; the guest cannot be checked: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const [silence] = report.silences;
  // From the migrate command, where the controller came so far; its own preparations are not part of the migration.
  const startedAtMs = controller.document?.started_at_ms;
  const beganMs = startedAtMs === undefined ? startMonotonicMs : clock.fromRealtimeMs(startedAtMs);
  const tmtMs = controller.document?.tmt_ms ?? null;
  const endedMs = tmtMs === null ? endMonotonicMs : beganMs + tmtMs;
  const moments = {
    watchedFromMs: report.firstAnswerMonotonicMs ?? startMonotonicMs,
    beganMs,
    endedMs,
    watchedToMs: report.stoppedMonotonicMs,
  };
  const rate = (fromMs: number, toMs: number): number | null => workPerSec(report.work, fromMs, toMs);
  const before = rate(moments.watchedFromMs, startMonotonicMs);
  return {
    controller,
    guestDowntime:
      silence === undefined
        ? null
        : { atLeastMs: silence.atLeastMs, silenceMs: silence.silenceMs, disturbed: silence.disturbed },
    prober: report,
    clientClockUncertaintyMs: clock.uncertaintyMs,
    moments,
    workPerSec: {
      before,
      during: rate(beganMs, endedMs),
      after: rate(endMonotonicMs, moments.watchedToMs),
    },
    lostWorkMs: lostWorkMs(report.work, before, startMonotonicMs, moments.watchedToMs),
    series: runSeries(report, beganMs),
    floorBytes,
    floorMs: (floorBytes / options.goodputBytesPerSec) * 1000,
    coherence,
  };
}
