// SPDX-License-Identifier: Apache-2.0
// A result directory as what reports are made of.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf, readTrace, UsageError } from '../../src/index.ts';
import {
  parseExperiment,
  parseRunRecords,
  type RunRecord,
  type RunSeries,
  WorkloadError,
  worksByTurns,
} from '../../src/experiment/index.ts';
import {
  adaptivePolicies,
  parseReasons,
  type ResultSet,
  type TimelineInput,
} from '../../src/report/index.ts';
import type { MachineFacts } from './machine-facts.ts';
import { workloadOf } from './run-guest.ts';

/** Written by hand beside results, where it is known why a claim does not hold. */
export const REASONS_FILE = 'reasons.yaml';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, {
      cause: error,
      remedy: 'name a directory that "slackwater-testbed experiment run" has filled',
    });
  }
}

/** A workload in a file of its own does not come with the results: nothing is known of it. */
function isByTurns(workload: string, experimentPath: string): boolean {
  try {
    return worksByTurns(workloadOf(workload, experimentPath));
  } catch (error) {
    if (error instanceof WorkloadError) return false;
    throw error;
  }
}

/** @throws UsageError where this is no result directory, ExperimentError where a file in it is broken */
export function readResults(directory: string): ResultSet {
  const experimentPath = join(directory, 'experiment.yaml');
  const experiment = parseExperiment(read(experimentPath), 'experiment.yaml');
  const recordsPath = join(directory, 'runs.jsonl');
  const machinePath = join(directory, 'machine.json');
  const reasonsPath = join(directory, REASONS_FILE);
  return {
    name: experiment.name,
    title: experiment.title,
    about: experiment.about ?? '',
    machine: existsSync(machinePath) ? (JSON.parse(read(machinePath)) as MachineFacts) : {},
    policies: experiment.policies.map(({ name }) => name),
    ours: adaptivePolicies(experiment.policies),
    guestsByTurns: experiment.guests
      .filter(({ workload }) => isByTurns(workload, experimentPath))
      .map(({ name }) => name),
    reasons: existsSync(reasonsPath) ? parseReasons(read(reasonsPath), REASONS_FILE, experiment) : [],
    bounds: experiment.bounds,
    maxAttempts: experiment.maxAttempts,
    records: existsSync(recordsPath) ? parseRunRecords(read(recordsPath)) : [],
    commands: `slackwater-testbed experiment run ${experiment.name}.yaml\nslackwater-testbed report DIR`,
  };
}

/** One run's own files; what is not there any more is left out. */
export function readTimeline(directory: string, record: RunRecord): TimelineInput {
  const { trace, series } = record.files;
  const present = (path: string | null): string | null =>
    path !== null && existsSync(resolve(directory, path)) ? resolve(directory, path) : null;
  const tracePath = present(trace);
  const seriesPath = present(series);
  return {
    record,
    rows: tracePath === null ? [] : readTrace(tracePath).rows,
    series: seriesPath === null ? null : (JSON.parse(read(seriesPath)) as RunSeries),
  };
}
