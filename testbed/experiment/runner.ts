// SPDX-License-Identifier: Apache-2.0
// Carries an experiment out, run after run, as the plan and the records so far say. Killed at any moment, it goes on from
// the records; what it left on the machine is reaped when it starts again.

import {
  bestSetting,
  type Experiment,
  latestAttempts,
  nextRun,
  type PlannedRun,
  type RunRecord,
  runKey,
  runStates,
  searchedSettings,
} from '../../src/experiment/index.ts';
import { EXIT } from '../../src/index.ts';
import { TestbedError } from '../errors.ts';
import { reap } from '../index.ts';
import { ensurePatchedQemu } from '../image/index.ts';
import { openRemoteLaboratory } from '../remote/index.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import { measureFloorGoodput } from '../stage/measured-run.ts';
import type { MigrationStage } from '../stage/migration-stage.ts';
import { carryOut } from './carry-out.ts';
import { machineFacts } from './machine-facts.ts';
import { PAGE_REPORTING_WARNING } from './page-reporting.ts';
import type { ResultsStore } from './results-store.ts';
import { runGuest } from './run-guest.ts';

/** Everything was tried, and some runs could not be carried out: the others are there, these have their logs. */
export class IncompleteError extends TestbedError {
  readonly code = 'ERR_TESTBED_INCOMPLETE';
  // Not completed, as a migration that ends on its source.
  override readonly exitCode = EXIT.sourceRunning;
}

export interface RunnerEvents {
  /** What is made ready before the first run, where that takes its time. */
  readonly onProgress: (line: string) => void;
  /** What is running, what is left, when it will be done. */
  readonly onRun: (run: PlannedRun, attempt: number, progress: Progress) => void;
  readonly onRecord: (record: RunRecord) => void;
  /** The controller's own lines of the run at hand. */
  readonly onLine: (line: string) => void;
}

export interface Progress {
  readonly done: number;
  readonly hopeless: number;
  readonly total: number;
  /** By the mean of the runs of this session; null before the first. */
  readonly leftMs: number | null;
}

export interface RunnerOptions {
  readonly experiment: Experiment;
  readonly experimentPath: string;
  readonly plan: readonly PlannedRun[];
  readonly store: ResultsStore<RunRecord>;
  readonly laboratory: Laboratory;
  readonly signal: AbortSignal;
  readonly events: RunnerEvents;
}

/**
 * Runs all that is open.
 * @throws HostUnusableError; ResultsError when results cannot be written; IncompleteError when runs could not be carried
 * out; or the signal's reason
 */
export async function runExperiment(options: RunnerOptions): Promise<void> {
  const { experiment, plan, store, laboratory, signal, events } = options;
  // A runner that was killed took its testbeds' owner with it.
  await reap();
  const remote =
    experiment.hosts === null
      ? null
      : await openRemoteLaboratory(experiment.hosts, laboratory, events.onProgress, signal);
  if (plan.some(({ policy }) => policy.qemu === 'patched'))
    await ensurePatchedQemu({ onProgress: events.onProgress });
  const facts = machineFacts(laboratory, remote);
  if (facts['freePageReporting'] === 'on') events.onProgress(`note: ${PAGE_REPORTING_WARNING}`);
  store.writeMachine(facts);
  const goodputs = new Map<string, number>();
  const startMs = performance.now();
  let carriedOut = 0;
  for (;;) {
    signal.throwIfAborted();
    const next = nextRun(plan, store.records, experiment.maxAttempts);
    if (next === null) break;
    const { run, attempt } = next;
    const elapsedMs = performance.now() - startMs;
    const directory = store.runDirectory(run.slug, attempt);
    const { maxAttempts } = experiment;
    events.onRun(run, attempt, progressOf(plan, store.records, carriedOut, elapsedMs, maxAttempts));
    const record = await carryOut({
      experiment,
      experimentPath: options.experimentPath,
      laboratory,
      remote,
      run,
      attempt,
      guest: runGuest(run, options.experimentPath),
      setting: settingOf(run, store.records),
      goodput: (stage) => goodputOf(goodputs, run.link, stage),
      directory,
      signal,
      onLine: events.onLine,
    });
    store.append(record);
    events.onRecord(record);
    carriedOut += 1;
  }
  refuseFailed(plan, store);
}

function refuseFailed(plan: readonly PlannedRun[], { records, directory }: ResultsStore<RunRecord>): void {
  const planned = new Set(plan.map(({ key }) => key));
  const failed = latestAttempts(records).filter(
    (record) => record.outcome === 'failed' && planned.has(runKey(record)),
  );
  if (failed.length === 0) return;
  const lines = failed.map((record) => `\n  ${runKey(record)}: ${record.reason}`);
  throw new IncompleteError(
    `${failed.length} of ${plan.length} runs could not be carried out:${lines.join('')}`,
    {
      remedy: `their logs are below ${directory}/runs; the others are there: slackwater-testbed report ${directory}`,
    },
  );
}

/** What the search before the oracle's run has found by now. */
function settingOf({ guest, link, policy }: PlannedRun, records: readonly RunRecord[]): string | null {
  if (policy.source.kind !== 'oracle') return null;
  return bestSetting(searchedSettings(records, guest.name, link), policy.objective.maxDowntimeMs);
}

/** Once per link and session: its shape does not change, and it takes four seconds. */
async function goodputOf(known: Map<string, number>, link: string, stage: MigrationStage): Promise<number> {
  const goodput = known.get(link) ?? (await measureFloorGoodput(stage));
  known.set(link, goodput);
  return goodput;
}

export function progressOf(
  plan: readonly PlannedRun[],
  records: readonly RunRecord[],
  carriedOut: number,
  elapsedMs: number,
  maxAttempts?: number,
): Progress {
  const states = runStates(plan, records, maxAttempts);
  const count = (wanted: string): number => states.filter(({ state }) => state === wanted).length;
  return {
    done: count('done'),
    hopeless: count('hopeless'),
    total: plan.length,
    leftMs: carriedOut === 0 ? null : (elapsedMs / carriedOut) * count('open'),
  };
}
