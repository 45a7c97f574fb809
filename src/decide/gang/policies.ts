// SPDX-License-Identifier: Apache-2.0
// Gang policies: who migrates when, how, and with what share of the link. Each is a pure function of the situation, asked again
// whenever a VM's migration has ended.

import { formatMs, formatRate } from '../../common/index.ts';
import type {
  CostOf,
  GangPlan,
  GangSituation,
  GangVm,
  PlannedVm,
  Priority,
  Technique,
} from '../../model/index.ts';
import {
  clusterOf,
  contentionOf,
  contentionRatio,
  type ContentionThresholds,
  scenarioOf,
} from './cluster.ts';
import { bestOrder, type Job, type Scheduled } from './order.ts';
import { tableRow } from './technique-table.ts';

export interface GangPolicyOptions {
  readonly thresholds?: ContentionThresholds;
  readonly clustering?: 'plain' | 'fuzzy';
}

export interface GangPolicy {
  readonly name: string;
  plan(situation: GangSituation, costOf: CostOf): GangPlan;
}

const GROUPS: readonly Priority[] = ['high', 'medium', 'low'];

function byPriority(vms: readonly GangVm[]): GangVm[] {
  return vms.toSorted((a, b) => GROUPS.indexOf(a.priority) - GROUPS.indexOf(b.priority));
}

/** A VM that may not use post-copy goes by pre-copy. */
function allowed(vm: GangVm, technique: Technique): Technique {
  return vm.mayPostcopy || technique === 'adaptive' ? technique : 'precopy';
}

/** The paper's tables, verbatim where they say something; groups by priority, high first. */
function trafficAwareTable({ thresholds, clustering = 'fuzzy' }: GangPolicyOptions): GangPolicy {
  return {
    name: 'traffic-aware-table',
    plan: (situation) => {
      const clusters = clusterOf(situation.vms, clustering);
      const [scenario, contention] = [scenarioOf(situation), contentionOf(situation, thresholds)];
      const vms = byPriority(situation.vms).map((vm): PlannedVm => {
        const cluster = clusters.get(vm.name) ?? 'inbound';
        const row = tableRow(contention, vm.priority, cluster, scenario);
        const fill = row.filled.length === 0 ? '' : `; the paper leaves the ${row.filled.join(' and ')} open`;
        return {
          name: vm.name,
          technique: allowed(vm, row.technique),
          group: GROUPS.indexOf(vm.priority),
          together: row.strategy === 'parallel',
          reason: `${cluster}, ${vm.priority} priority, ${contention} contention, ${scenario}: ${row.technique}, ${row.strategy}${fill}`,
        };
      });
      const percent = (100 * contentionRatio(situation)).toFixed(0);
      return {
        vms,
        sharing: 'even',
        findings: [`scenario ${scenario}; workloads take ${percent} % of the link: ${contention} contention`],
      };
    },
  };
}

/** All at once, each the way that its own traffic leaves free: post-copy pulls against what is sent, pre-copy pushes with it. */
function complementaryDirection({ clustering = 'plain' }: GangPolicyOptions): GangPolicy {
  return {
    name: 'complementary-direction',
    plan: ({ vms }) => {
      const clusters = clusterOf(vms, clustering);
      return {
        vms: vms.map((vm): PlannedVm => {
          const cluster = clusters.get(vm.name) ?? 'inbound';
          const technique = allowed(vm, cluster === 'inbound' ? 'precopy' : 'postcopy');
          return {
            name: vm.name,
            technique,
            group: 0,
            together: true,
            reason: `${cluster} traffic: ${technique} goes the other way (Deshpande and Keahey)`,
          };
        }),
        sharing: 'even',
        findings: [],
      };
    },
  };
}

/** In the order of the plan file; each VM as the adaptive policy decides, so that what differs is order and share alone. */
function fixedOrder(name: string, together: boolean, reason: string): GangPolicy {
  return {
    name,
    plan: ({ vms }) => ({
      vms: vms.map((vm): PlannedVm => ({ name: vm.name, technique: 'adaptive', group: 0, together, reason })),
      sharing: 'even',
      findings: [],
    }),
  };
}

/** The operator's own order: the groups of the plan file, each at once. */
function asWritten(): GangPolicy {
  return {
    name: 'as-written',
    plan: ({ vms }) => {
      const inOrder = vms.toSorted((a, b) => a.group - b.group);
      const isAlone = ({ name, group }: GangVm): boolean =>
        vms.every((other) => other.name === name || other.group !== group);
      return {
        vms: inOrder.map((vm): PlannedVm => ({
          name: vm.name,
          technique: 'adaptive',
          group: vm.group,
          together: true,
          reason: `group ${vm.group} of the plan file${isAlone(vm) ? '' : ', with others'}`,
        })),
        // Where none go at once, the next may begin while the one before it ends.
        sharing: vms.every(isAlone) ? 'in-order' : 'even',
        findings: [],
      };
    },
  };
}

function jobOf(vm: GangVm, costOf: CostOf, bandwidthBytesPerSec: number): Job & { readonly known: boolean } {
  const cost = costOf(vm.name, 'adaptive', bandwidthBytesPerSec);
  // Of a guest of which nothing is known: its memory, once.
  const once = (vm.memoryBytes / bandwidthBytesPerSec) * 1000;
  return {
    name: vm.name,
    priority: vm.priority,
    deadlineMs: vm.deadlineMs,
    lengthMs: cost?.tmtMs?.expected ?? once,
    highLengthMs: cost?.tmtMs?.high ?? once * 1.5,
    known: (cost?.tmtMs ?? null) !== null,
  };
}

/** What would make a late one timely, in words. */
function remedyFor({ job, highEndMs }: Scheduled, nowMs: number, linkBytesPerSec: number): string {
  const deadlineMs = job.deadlineMs ?? 0;
  const alone = nowMs + job.highLengthMs;
  const why = `${job.name} is forecast to end by ${formatMs(highEndMs)}, its deadline is ${formatMs(deadlineMs)}`;
  if (alone <= deadlineMs) {
    return `${why}: others' deadlines come first; alone it would end by ${formatMs(alone)}`;
  }
  const left = deadlineMs - nowMs;
  const needed = left > 0 ? ` or a link of ${formatRate((linkBytesPerSec * job.highLengthMs) / left)}` : '';
  return `${why}: even alone it needs a deadline of ${formatMs(alone)}${needed}`;
}

/** What of the link a migration can have, at the end where that is less. */
export function migrationBandwidth({ source, destination, limits }: GangSituation): number {
  const free = (link: number, workload: number): number =>
    link - Math.max(limits.lowerBytesPerSec, Math.min(workload, limits.upperBytesPerSec));
  return Math.max(
    1,
    Math.min(
      free(source.linkBytesPerSec, source.traffic.workload.sentBytesPerSec),
      free(destination.linkBytesPerSec, destination.traffic.workload.receivedBytesPerSec),
    ),
  );
}

/**
 * Ours: one after the other, for two at once end no sooner together and later each, in the order of least weighted completion that
 * keeps the deadlines; the next begins when the one before it is awake on the destination, and has what its last pages leave of the link.
 */
function slackwaterGang(): GangPolicy {
  return {
    name: 'slackwater-gang',
    plan: (situation, costOf) => {
      const bandwidth = migrationBandwidth(situation);
      const jobs = situation.vms.map((vm) => jobOf(vm, costOf, bandwidth));
      const schedule = bestOrder(jobs, situation.nowMs);
      const unknown = jobs.filter(({ known }) => !known).map(({ name }) => name);
      return {
        vms: schedule.map(({ job, endMs }, i): PlannedVm => ({
          name: job.name,
          technique: 'adaptive',
          group: i,
          together: false,
          reason: `${job.priority} priority, ${formatMs(job.lengthMs)} with the link to itself: ends at ${formatMs(endMs)}`,
        })),
        sharing: 'in-order',
        findings: [
          `${formatRate(bandwidth)} of the link are left for migrations`,
          ...(unknown.length === 0 ? [] : [`of ${unknown.join(', ')} nothing is known but the memory`]),
          ...schedule.filter(({ late }) => late).map((each) => remedyFor(each, situation.nowMs, bandwidth)),
        ],
      };
    },
  };
}

/** Gang policies by name. */
export function gangPolicies(options: GangPolicyOptions = {}): GangPolicy[] {
  return [
    slackwaterGang(),
    trafficAwareTable(options),
    complementaryDirection(options),
    fixedOrder('all-parallel', true, 'all at once'),
    fixedOrder('all-serial', false, 'in the order of the file'),
    asWritten(),
  ];
}

export function gangPolicyByName(name: string, options: GangPolicyOptions = {}): GangPolicy | undefined {
  return gangPolicies(options).find((policy) => policy.name === name);
}
