// SPDX-License-Identifier: Apache-2.0
// What a person sees of a gang: the plan with its forecast, then a live table on a terminal, plain lines elsewhere.

import { formatBytes, formatMs, formatRate } from '../common/index.ts';
import type { GangProgress, GangReporter, MemberProgress, PlannedGang } from '../control/index.ts';
import type { Estimate } from '../model/index.ts';
import { alignColumns } from './columns.ts';

const PLAIN_EVERY_MS = 5000;
const LIVE_EVERY_MS = 200;

function banded(estimate: Estimate | null | undefined, format: (value: number) => string): string {
  if (estimate === null || estimate === undefined) return 'does not converge';
  return `${format(estimate.expected)} (${format(estimate.low)} to ${format(estimate.high)})`;
}

/** The plan, as a table and the policy's findings. */
export function planText({ policy, plan, costs, bandwidthBytesPerSec }: PlannedGang): string {
  const rows = plan.vms.map((vm, i) => {
    const before = plan.vms[i - 1];
    const isTogether = before !== undefined && vm.together && before.together && before.group === vm.group;
    const cost = costs.get(vm.name) ?? null;
    return [
      vm.name,
      vm.technique,
      before === undefined ? 'first' : `${isTogether ? 'with' : 'after'} ${before.name}`,
      cost === null ? 'not known' : banded(cost.tmtMs, formatMs),
      cost === null ? 'not known' : banded(cost.downtimeMs, formatMs),
      vm.reason,
    ];
  });
  return [
    `${policy}, forecasts for ${formatRate(bandwidthBytesPerSec)}, each VM with the link to itself:`,
    ...alignColumns([['VM', 'technique', 'begins', 'total time', 'downtime', 'why'], ...rows]),
    ...plan.findings.map((text) => `  ${text}`),
  ].join('\n');
}

function memberLine({ name, phase, progress, ended }: MemberProgress): string {
  if (ended !== null) return `${name}: ${ended}`;
  if (progress === null) return `${name}: ${phase}`;
  const { observation, intention } = progress;
  const parts = [
    observation.status.startsWith('postcopy') ? 'post-copy' : `round ${observation.round}`,
    ...(observation.remainingBytes === null ? [] : [`${formatBytes(observation.remainingBytes)} left`]),
    ...(observation.bandwidthBytesPerSec === null ? [] : [formatRate(observation.bandwidthBytesPerSec)]),
    ...(intention === '' ? [] : [intention]),
  ];
  return `${name}: ${parts.join(' | ')}`;
}

function trafficLine({ atMs, traffic }: GangProgress): string {
  if (traffic === null) return formatMs(atMs);
  const { migration, workload } = traffic;
  return `${formatMs(atMs)} | migrations ${formatRate(migration.sentBytesPerSec)}, workloads ${formatRate(workload.sentBytesPerSec)} out`;
}

export interface GangDisplay extends GangReporter {
  /** Leaves the terminal clean. */
  end(): void;
}

/** @param quiet says nothing but notes */
export function createGangDisplay(stream: NodeJS.WriteStream, quiet: boolean): GangDisplay {
  const live = stream.isTTY && !quiet;
  let shownLines = 0;
  let lastMs = -Infinity;
  const clear = (): void => {
    // Up to the first line of the table, and away with everything below.
    if (shownLines > 0) stream.write(`\u001b[${shownLines}A\r\u001b[J`);
    shownLines = 0;
  };
  const line = (text: string): void => {
    clear();
    stream.write(`${text}\n`);
  };
  return {
    planned: (gang) => {
      if (!quiet) line(planText(gang));
    },
    progress: (progress) => {
      if (quiet) return;
      if (progress.atMs - lastMs < (live ? LIVE_EVERY_MS : PLAIN_EVERY_MS)) return;
      lastMs = progress.atMs;
      const begun = progress.members.filter(({ phase }) => phase !== 'waiting');
      if (!live) {
        const running = begun.filter(({ ended }) => ended === null).map(memberLine);
        if (running.length > 0) line([trafficLine(progress), ...running].join('; '));
        return;
      }
      const width = Math.max(20, stream.columns - 1);
      const lines = [trafficLine(progress), ...progress.members.map(memberLine)];
      clear();
      stream.write(lines.map((each) => `${each.slice(0, width)}\n`).join(''));
      shownLines = lines.length;
    },
    decision: (vm, action, carriedOut) => {
      if (quiet || action.kind === 'continue') return;
      line(`${vm}: ${carriedOut ? '' : 'would: '}${action.reason.text}`);
    },
    note: (text) => line(`slackwater: ${text}`),
    end: clear,
  };
}
