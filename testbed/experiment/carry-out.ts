// SPDX-License-Identifier: Apache-2.0
// Carries one planned run out: a fresh testbed, a freshly booted guest in its workload, one migration, and what it gave.
// Whatever goes wrong becomes a record that says so; nothing of the run stays on a machine.

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMs, messageOf, type OutcomeKind } from '../../src/index.ts';
import { type Experiment, type PlannedRun, RUN_SCHEMA, type RunRecord } from '../../src/experiment/index.ts';
import { ResultsError, type RunDirectory, writeRunFile } from './results-store.ts';
import { ensurePatchedQemu } from '../image/index.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import type { RunningKvload } from '../measure/index.ts';
import { HostUnusableError, type RemoteLaboratory, RemoteStage } from '../remote/index.ts';
import { type MeasuredRun, measuredMigration } from '../stage/measured-run.ts';
import type { MigrationStage } from '../stage/migration-stage.ts';
import { Stage } from '../stage/stage.ts';
import {
  disturbancesOf,
  foreignRatio,
  parseCpuTimes,
  readCpuTimes,
  readMachineUse,
  stealRatio,
  type TakenRatios,
} from './disturbance.ts';
import { migrateArgs } from './migrate-args.ts';
import type { RunGuest } from './run-guest.ts';

export interface CarryOutOptions {
  readonly experiment: Experiment;
  readonly experimentPath: string;
  readonly laboratory: Laboratory;
  /** Null: the run is carried out on this machine. */
  readonly remote: RemoteLaboratory | null;
  readonly run: PlannedRun;
  readonly attempt: number;
  readonly guest: RunGuest;
  /** What the oracle's search picked; null for every other policy. */
  readonly setting: string | null;
  /** Of one TCP stream over this run's link; measured on the run's own testbed where it is not known yet. */
  readonly goodput: (stage: MigrationStage) => Promise<number>;
  /** This attempt's own, empty. */
  readonly directory: RunDirectory;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

/** Watching before the migration is part of the guest's time to settle. */
const WATCH_BEFORE_MS = 2000;
/** An application's clients ask some hundred times a second: their p99 takes longer to be known than the guest's work. */
const WATCH_AFTER_MS = { guest: 1500, app: 3000 };
/** Beyond the time cap: post-copy, conclusion and check. A run that takes longer is ended as failed. */
const OVERTIME_MS = 180_000;

const TRACE = 'trace.msgpack';
const SERIES = 'series.json';

/** @throws HostUnusableError, ResultsError: what no other run could do without either */
export async function carryOut(options: CarryOutOptions): Promise<RunRecord> {
  const startedAt = new Date().toISOString();
  const before = readCpuTimes();
  try {
    const carriedOut = await migrateOnce(options);
    // Ended from outside, the testbed went down under the migration: its outcome says nothing.
    options.signal.throwIfAborted();
    return toRecord(options, startedAt, carriedOut);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof ResultsError || error instanceof HostUnusableError) throw error;
    const steal = options.remote === null ? stealRatio(before, readCpuTimes()) : null;
    return failedRecord(options, startedAt, messageOf(error), steal);
  }
}

interface CarriedOut {
  readonly run: MeasuredRun;
  readonly app: RunRecord['app'];
  readonly taken: TakenRatios;
  readonly hasDisk: boolean;
}

async function openStage({
  laboratory,
  remote,
  guest,
  run,
  signal,
}: CarryOutOptions): Promise<MigrationStage> {
  const options = { guest: guest.spec, link: run.link, signal };
  if (remote !== null) return await RemoteStage.create({ remote, ...options });
  const patched = run.policy.qemu === 'patched' ? { qemuPath: await ensurePatchedQemu() } : {};
  return await Stage.create({ laboratory, ...options, ...patched });
}

async function migrateOnce(options: CarryOutOptions): Promise<CarriedOut> {
  const { experiment, run, signal, onLine, directory } = options;
  const tracePath = join(directory.path, TRACE);
  const args = migrateArgs(run, experiment, options.experimentPath, options.setting, tracePath);
  const stage = await openStage(options);
  const late = new AbortController();
  // What goes wrong with that is told when it is waited for.
  const takeDown = (): void => void stage.down().catch(() => undefined);
  const timer = setTimeout(() => {
    late.abort();
    takeDown();
  }, experiment.capMs + OVERTIME_MS);
  signal.addEventListener('abort', takeDown);
  let load: RunningKvload | null = null;
  let said = '';
  try {
    const cpuBefore = await stage.readCpuLines();
    const useBefore = options.remote === null ? readMachineUse() : null;
    const goodputBytesPerSec = await options.goodput(stage);
    await stage.boot();
    load = await startLoad(stage, options);
    await stage.addDestination();
    await stage.settle(Math.max(0, run.settleMs - WATCH_BEFORE_MS));
    const measured = await measuredMigration(stage, {
      goodputBytesPerSec,
      migrateArgs: args,
      onLine: (line) => {
        said += `${line}\n`;
        onLine(line);
      },
      beforeMs: WATCH_BEFORE_MS,
      afterMs: load === null ? WATCH_AFTER_MS.guest : WATCH_AFTER_MS.app,
    });
    if (measured.controller.document === null) {
      throw new Error(`slackwater gave no outcome: ${measured.controller.stderr.trim().slice(-500)}`);
    }
    writeRunFile(directory, SERIES, JSON.stringify(measured.series));
    await load?.stop();
    return {
      run: measured,
      app: appFigures(options, load, measured),
      taken: {
        steal: worstSteal(cpuBefore, await stage.readCpuLines()),
        foreign: useBefore === null ? null : foreignRatio(useBefore, readMachineUse()),
      },
      hasDisk: stage.hasDisk,
    };
  } catch (error) {
    stage.lost?.throwIfAborted();
    if (late.signal.aborted)
      throw new Error(`not over after ${formatMs(experiment.capMs + OVERTIME_MS)}`, { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', takeDown);
    await keepLogs(stage, directory.path, said);
    await stage.down();
  }
}

function worstSteal(before: readonly string[], after: readonly string[]): number {
  const ratios = after.map((line, i) => stealRatio(parseCpuTimes(before[i] ?? ''), parseCpuTimes(line)));
  return Math.max(0, ...ratios);
}

/** The application's clients, once its records are there; null for guests without. */
async function startLoad(
  stage: MigrationStage,
  { guest, run, signal }: CarryOutOptions,
): Promise<RunningKvload | null> {
  if (guest.load === undefined) return null;
  return await stage.startLoad({ settings: guest.load, seed: run.seed, signal });
}

function appFigures(
  { guest }: CarryOutOptions,
  load: RunningKvload | null,
  { moments }: MeasuredRun,
): RunRecord['app'] {
  const name = guest.spec.app?.name;
  if (name === undefined) return null;
  return {
    name,
    before: load?.figures(moments.watchedFromMs, moments.beganMs) ?? null,
    during: load?.figures(moments.beganMs, moments.endedMs) ?? null,
    after: load?.figures(moments.endedMs, moments.watchedToMs) ?? null,
  };
}

/** What the controller said, QEMU's logs and the guest's consoles, before they go with the stage. */
async function keepLogs(stage: MigrationStage, to: string, said: string): Promise<void> {
  try {
    writeFileSync(join(to, 'controller.log'), said);
    await stage.keepLogs(to);
  } catch {
    // A full disk, or a host that is lost; the record says what there is.
  }
}

function filesOf({ directory }: CarryOutOptions): RunRecord['files'] {
  const names = existsSync(directory.path) ? readdirSync(directory.path) : [];
  const path = (name: string): string => join(directory.relative, name);
  return {
    trace: names.includes(TRACE) ? path(TRACE) : null,
    series: names.includes(SERIES) ? path(SERIES) : null,
    logs: names.filter((name) => name.endsWith('.log')).map(path),
  };
}

function identity({ run, attempt, setting }: CarryOutOptions) {
  return {
    schema: RUN_SCHEMA,
    kind: run.kind,
    guest: run.guest.name,
    link: run.link,
    policy: run.policy.name,
    setting,
    repeat: run.repeat,
    attempt,
  } as const;
}

function toRecord(
  options: CarryOutOptions,
  startedAt: string,
  { run, app, taken, hasDisk }: CarriedOut,
): RunRecord {
  const { document } = run.controller;
  const completed = document?.outcome === 'completed';
  const { coherence } = run;
  return {
    ...identity(options),
    startedAt,
    outcome: (document?.outcome ?? 'failed') as OutcomeKind | 'failed',
    reason: document?.reason ?? '',
    capped: document?.given_up ?? false,
    ...(document?.waited_ms === undefined || document.waited_ms === 0
      ? {}
      : { waitedMs: document.waited_ms }),
    tmtMs: document?.tmt_ms ?? null,
    downtimeQemuMs: document?.downtime_qemu_ms ?? null,
    downtimeStopToResumeMs: document?.downtime_stop_to_resume_ms ?? null,
    downtimeGuestMs: completed ? (run.guestDowntime?.silenceMs ?? null) : null,
    downtimeGuestAtLeastMs: completed ? (run.guestDowntime?.atLeastMs ?? null) : null,
    downtimeForecastMs: document?.downtime_forecast_ms ?? null,
    transferredBytes: document?.transferred_bytes ?? null,
    rounds: document?.rounds ?? null,
    usedPostcopy: document?.used_postcopy ?? false,
    floorBytes: run.floorBytes,
    floorMs: run.floorMs,
    workPerSec: run.workPerSec,
    lostWorkMs: run.lostWorkMs,
    app,
    coherent: coherence.coherent,
    lostPages: coherence.badPageCount,
    lostBlocks: hasDisk ? coherence.badBlockCount : null,
    disturbances: disturbancesOf(run, taken),
    stealRatio: taken.steal,
    proberGapMs: run.prober.ownGapMs,
    ...(run.clientClockUncertaintyMs === null
      ? {}
      : { clientClockUncertaintyMs: run.clientClockUncertaintyMs }),
    files: filesOf(options),
  };
}

function failedRecord(
  options: CarryOutOptions,
  startedAt: string,
  reason: string,
  steal: number | null,
): RunRecord {
  return {
    ...identity(options),
    startedAt,
    outcome: 'failed',
    reason,
    capped: false,
    tmtMs: null,
    downtimeQemuMs: null,
    downtimeStopToResumeMs: null,
    downtimeGuestMs: null,
    downtimeGuestAtLeastMs: null,
    downtimeForecastMs: null,
    transferredBytes: null,
    rounds: null,
    usedPostcopy: false,
    floorBytes: null,
    floorMs: null,
    workPerSec: { before: null, during: null, after: null },
    lostWorkMs: null,
    app: null,
    coherent: null,
    lostPages: null,
    lostBlocks: null,
    disturbances: [],
    stealRatio: steal,
    proberGapMs: null,
    files: filesOf(options),
  };
}
