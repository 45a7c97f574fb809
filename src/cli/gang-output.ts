// SPDX-License-Identifier: Apache-2.0
// A gang's plan and outcome as the versioned JSON documents, and as lines for people.

import { EXIT, type ExitCode, formatMs } from '../common/index.ts';
import type { GangOutcome, PlannedGang } from '../control/index.ts';
import { exitCodeOf } from './exit.ts';
import { outcomeDocument } from './outcome-output.ts';

/** The worst decides: what cannot be undone before what can. */
const WORST_FIRST: readonly ExitCode[] = [
  EXIT.lost,
  EXIT.unknown,
  EXIT.postcopyPaused,
  EXIT.bug,
  EXIT.sourceRunning,
  EXIT.interrupted,
  EXIT.completed,
];

export function gangExitCode({ members }: GangOutcome): ExitCode {
  const codes = new Set(members.map(({ outcome }) => exitCodeOf(outcome)));
  return WORST_FIRST.find((code) => codes.has(code)) ?? EXIT.completed;
}

/** The document of `gang --plan --json`. */
export function planDocument({ policy, situation, plan, costs, bandwidthBytesPerSec }: PlannedGang) {
  return {
    schema: 'slackwater/gang-plan@1',
    policy,
    sharing: plan.sharing,
    bandwidth_bytes_per_sec: bandwidthBytesPerSec,
    source_workload_bytes_per_sec: situation.source.traffic.workload.sentBytesPerSec,
    destination_workload_bytes_per_sec: situation.destination.traffic.workload.receivedBytesPerSec,
    findings: plan.findings,
    vms: plan.vms.map(({ name, technique, group, together, reason }) => {
      const cost = costs.get(name) ?? null;
      return {
        name,
        technique,
        group,
        together,
        reason,
        tmt_ms: cost?.tmtMs ?? null,
        downtime_ms: cost?.downtimeMs ?? null,
        bytes: cost?.bytes ?? null,
      };
    }),
  };
}

/** The document of `gang --json`; fields are only ever added within a schema version. */
export function gangDocument(outcome: GangOutcome) {
  return {
    schema: 'slackwater/gang@1',
    policy: outcome.policy,
    exit_code: gangExitCode(outcome),
    tmt_ms: outcome.tmtMs,
    downtime_sum_ms: outcome.downtimeSumMs,
    downtime_max_ms: outcome.downtimeMaxMs,
    not_restored: outcome.notRestored,
    vms: outcome.members.map((member) => ({
      name: member.name,
      priority: member.priority,
      technique: member.planned?.technique ?? null,
      start_ms: member.startMs,
      end_ms: member.endMs,
      deadline_ms: member.deadlineMs,
      deadline_met:
        member.deadlineMs === null
          ? null
          : member.outcome.kind === 'completed' && (member.endMs ?? Infinity) <= member.deadlineMs,
      attempts: member.attempts,
      migration: outcomeDocument(member.outcome, member.planned?.technique ?? 'none'),
    })),
  };
}

export function gangLines(outcome: GangOutcome): string[] {
  const figures = [
    ...(outcome.tmtMs === null ? [] : [`total ${formatMs(outcome.tmtMs)}`]),
    ...(outcome.downtimeSumMs === null ? [] : [`STOP to RESUME ${formatMs(outcome.downtimeSumMs)} in sum`]),
    ...(outcome.downtimeMaxMs === null ? [] : [`${formatMs(outcome.downtimeMaxMs)} at most`]),
  ];
  return [
    ...outcome.members.flatMap(({ name, endMs, deadlineMs, outcome: { kind, reason, command } }) => [
      `${name}: ${kind}${endMs === null ? '' : ` at ${formatMs(endMs)}`}: ${reason}`,
      ...(deadlineMs !== null && (endMs ?? Infinity) > deadlineMs
        ? [`  its deadline of ${formatMs(deadlineMs)} is missed`]
        : []),
      ...(command === null ? [] : [`  run: ${command}`]),
    ]),
    `${outcome.policy}: ${figures.join(', ')}`,
    ...outcome.notRestored.map((text) => `not restored yet: ${text}`),
  ];
}
