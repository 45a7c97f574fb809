// SPDX-License-Identifier: Apache-2.0
// What of an experiment only the testbed can judge, judged before the first run: links, workloads and policies that exist.

import { loadPolicy, messageOf, RefusedError, UsageError } from '../../src/index.ts';
import type { Experiment, PlannedRun } from '../../src/experiment/index.ts';
import { NATIVE_LINK, parseLink } from '../net/link-profiles.ts';
import { inspectHosts } from '../remote/index.ts';
import { policyArgument } from './migrate-args.ts';
import { runGuest } from './run-guest.ts';

/** @throws UsageError with everything that is wrong with it, RefusedError with everything that is wrong with its hosts, a line each */
export async function checkPlan(
  plan: readonly PlannedRun[],
  experiment: Experiment,
  experimentPath: string,
  signal?: AbortSignal,
): Promise<void> {
  const problems = new Set<string>();
  const attempt = async (what: string, check: () => unknown): Promise<void> => {
    try {
      await check();
    } catch (error) {
      problems.add(`${what}: ${messageOf(error)}`);
    }
  };
  for (const link of experiment.links) await attempt(`link ${link}`, () => checkLink(link, plan, experiment));
  if (problems.size === 0) {
    const byGuest = new Map(plan.map((run) => [run.guest.name, run]));
    for (const [name, run] of byGuest) {
      await attempt(`guest ${name}`, () => {
        const { spec } = runGuest(run, experimentPath);
        if (experiment.hosts === null || spec.app?.diskMib === undefined) return;
        throw new UsageError(
          `wanted a workload without a disk, which hosts do not share, got ${run.guest.workload}`,
        );
      });
    }
    const policies = new Map(
      plan
        .filter(({ policy }) => policy.source.kind !== 'oracle')
        .map((run) => [policyArgument(run, experimentPath), run.policy.name]),
    );
    for (const [argument, name] of policies) await attempt(`policy ${name}`, () => loadPolicy(argument));
  }
  if (experiment.hosts !== null && plan.some(({ policy }) => policy.qemu === 'patched')) {
    problems.add('qemu: patched is for this machine; on hosts name a patched QEMU as their qemu');
  }
  if (problems.size > 0) {
    throw new UsageError(`the experiment ${experiment.name} cannot be run:\n  ${[...problems].join('\n  ')}`);
  }
  if (experiment.hosts !== null) await checkHosts(experiment, signal);
}

function checkLink(link: string, plan: readonly PlannedRun[], { hosts }: Experiment): void {
  if (link !== NATIVE_LINK) {
    parseLink(link);
    return;
  }
  if (hosts === null)
    throw new UsageError('wanted a link with a rate: only real hosts have one of their own');
  const scaled = plan.find(({ policy: { source } }) => source.kind === 'named' && source.scaled);
  if (scaled === undefined) return;
  throw new UsageError(`wanted a link with a rate for ${scaled.policy.name}, whose times are scaled by it`);
}

async function checkHosts({ name, hosts }: Experiment, signal: AbortSignal | undefined): Promise<void> {
  if (hosts === null) return;
  const { problems } = await inspectHosts(hosts, signal);
  if (problems.length === 0) return;
  throw new RefusedError(`the experiment ${name} cannot be run on its hosts:\n  ${problems.join('\n  ')}`, {
    remedy: 'nothing was changed there; what hosts need: README.md, "On two machines"',
  });
}
