// SPDX-License-Identifier: Apache-2.0
// What of an experiment only the testbed can judge, judged before the first run: links, workloads and policies that exist.

import { loadPolicy, messageOf, UsageError } from '../../src/index.ts';
import type { Experiment, PlannedRun } from '../../src/experiment/index.ts';
import { parseLink } from '../net/link-profiles.ts';
import { policyArgument } from './migrate-args.ts';
import { runGuest } from './run-guest.ts';

/** @throws UsageError with everything that is wrong, a line each */
export async function checkPlan(
  plan: readonly PlannedRun[],
  experiment: Experiment,
  experimentPath: string,
): Promise<void> {
  const problems = new Set<string>();
  const attempt = async (what: string, check: () => unknown): Promise<void> => {
    try {
      await check();
    } catch (error) {
      problems.add(`${what}: ${messageOf(error)}`);
    }
  };
  if (experiment.hosts !== null) {
    problems.add('hosts: this testbed runs in namespaces of one machine, and reaches no others');
  }
  for (const link of experiment.links) await attempt(`link ${link}`, () => parseLink(link));
  if (problems.size === 0) {
    const byGuest = new Map(plan.map((run) => [run.guest.name, run]));
    for (const [name, run] of byGuest) await attempt(`guest ${name}`, () => runGuest(run));
    const policies = new Map(
      plan
        .filter(({ policy }) => policy.source.kind !== 'oracle')
        .map((run) => [policyArgument(run, experimentPath), run.policy.name]),
    );
    for (const [argument, name] of policies) await attempt(`policy ${name}`, () => loadPolicy(argument));
  }
  if (problems.size > 0) {
    throw new UsageError(`the experiment ${experiment.name} cannot be run:\n  ${[...problems].join('\n  ')}`);
  }
}
