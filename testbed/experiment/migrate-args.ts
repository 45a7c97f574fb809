// SPDX-License-Identifier: Apache-2.0
// A planned run as arguments of `slackwater migrate`: the very command that operators use.

import { dirname, resolve } from 'node:path';
import type { Objective } from '../../src/index.ts';
import { type Experiment, type PlannedRun, scaledTimeFactor } from '../../src/experiment/index.ts';
import { MeasureError } from '../errors.ts';
import { parseLink } from '../net/link-profiles.ts';

/**
 * The policy's name for --policy: a scaled one carries its factor, a file is found from the experiment's own place, and the
 * oracle is what its search picked.
 */
export function policyArgument(
  run: PlannedRun,
  experimentPath: string,
  setting: string | null = null,
): string {
  const { source } = run.policy;
  if (source.kind === 'oracle') {
    if (setting === null) {
      throw new MeasureError('the oracle has no setting: none of its search always completed');
    }
    return setting;
  }
  if (source.kind === 'file') return resolve(dirname(experimentPath), source.path);
  if (!source.scaled) return source.id;
  const factor = scaledTimeFactor({
    memoryBytes: run.guest.memoryBytes,
    linkBytesPerSec: parseLink(run.link).rateBytesPerSec,
  });
  return `${source.id}@x${factor.toPrecision(3)}`;
}

function objectiveArgs(objective: Objective): string[] {
  return [
    ...['--max-downtime', `${objective.maxDowntimeMs}ms`],
    ...(objective.allowDowntimeMs === null ? [] : ['--allow-downtime', `${objective.allowDowntimeMs}ms`]),
    ...(objective.deadlineMs === null ? [] : ['--deadline', `${objective.deadlineMs}ms`]),
    ...(objective.postcopy === 'forbidden' ? ['--no-postcopy'] : []),
    ...(objective.postcopy === 'required' ? ['--require-postcopy'] : []),
  ];
}

export function migrateArgs(
  run: PlannedRun,
  experiment: Experiment,
  experimentPath: string,
  setting: string | null,
  tracePath: string,
): string[] {
  const { maxBandwidthBytesPerSec, capMs } = experiment;
  return [
    ...['--policy', policyArgument(run, experimentPath, setting)],
    ...objectiveArgs(run.policy.objective),
    ...(run.policy.profileMs === null ? [] : ['--profile', `${run.policy.profileMs}ms`]),
    ...['--give-up', `${capMs}ms`, '--trace', tracePath],
    ...(maxBandwidthBytesPerSec === null ? [] : ['--bandwidth', `${maxBandwidthBytesPerSec * 8}bit`]),
  ];
}
