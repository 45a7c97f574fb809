// SPDX-License-Identifier: Apache-2.0
// slackwater replay: what every policy would have done at each moment of a recorded migration, and what it would have cost.

import type { Command } from 'commander';
import { formatBytes, formatMs, parseRateBytesPerSec } from '../common/index.ts';
import { loadPolicy } from '../control/index.ts';
import { readTrace, recordedRun, type RecordedRun } from '../record/index.ts';
import { replay, type Replay } from '../simulate/index.ts';
import { collect } from './list-option.ts';

interface ReplayFlags {
  readonly policy?: readonly string[];
  readonly link?: string;
  readonly json?: boolean;
}

const DEFAULT_POLICIES = ['adaptive', 'qemu-default', 'hybrid-1', 'kubevirt-vep291', 'kubevirt-vep248'];

function endText(then: Replay['then']): string {
  if (then === null) return 'how it would have ended cannot be told: nothing was learnt of the guest';
  if (then.outcome !== 'completed') return `the guest stays on the source: ${then.reason}`;
  const figures = [
    `total ${formatMs(then.tmtMs ?? 0)}`,
    `STOP to RESUME ${formatMs(then.stopToResumeMs ?? 0)}`,
    `${formatBytes(then.transferredBytes)} sent`,
    `${then.rounds} rounds`,
    ...(then.usedPostcopy ? ['post-copy'] : []),
  ];
  return figures.join(', ');
}

function lines(result: Replay): string[] {
  const decisions = result.decisions.map(
    ({ atMs, action }) =>
      `  ${(atMs / 1000).toFixed(3).padStart(9)} s  ${action.kind}: ${action.reason.text}`,
  );
  const end =
    result.partsAtMs === null
      ? ['  as recorded']
      : [
          `  parts ways at ${formatMs(result.partsAtMs)}; from there on, by the model:`,
          ...(result.then?.actions ?? []).map(
            ({ atMs, action }) =>
              `  ${(atMs / 1000).toFixed(3).padStart(9)} s  (${action.kind}: ${action.reason.text})`,
          ),
          `  ${endText(result.then)}`,
        ];
  return [result.policy, ...decisions, ...end, ''];
}

function recordedLine({ policy, outcome }: RecordedRun): string {
  if (outcome === null || outcome.tmtMs === null)
    return `recorded: ${policy}, ${outcome?.kind ?? 'cut short'}`;
  return (
    `recorded: ${policy}, total ${formatMs(outcome.tmtMs)}, ` +
    `STOP to RESUME ${outcome.stopToResumeMs === null ? 'not measured' : formatMs(outcome.stopToResumeMs)}, ` +
    `${formatBytes(outcome.transferredBytes ?? 0)} sent`
  );
}

export function registerReplay(program: Command): void {
  program
    .command('replay <trace>')
    .description('what policies would have done in a recorded migration, where they part ways, and the cost')
    .option(
      '--policy <name|file>',
      `again, or after a comma, for more (default: ${DEFAULT_POLICIES.join(',')})`,
      collect,
    )
    .option('--link <rate>', 'what the link carries (default: the most that was seen)')
    .option('--json', 'one JSON document on stdout')
    .action(async (file: string, flags: ReplayFlags) => {
      const policies = await Promise.all((flags.policy ?? DEFAULT_POLICIES).map(loadPolicy));
      const link = flags.link === undefined ? null : parseRateBytesPerSec(flags.link);
      const run = recordedRun(readTrace(file), file);
      const recording = {
        ...run,
        actions: run.actions.filter(({ carriedOut }) => carriedOut),
      };
      const results = policies.map((policy) => replay(policy, recording, link));
      if (flags.json === true) {
        const document = {
          schema: 'slackwater/replay@1',
          recorded: { policy: run.policy, ...run.outcome },
          replays: results,
        };
        process.stdout.write(`${JSON.stringify(document)}\n`);
        return;
      }
      process.stdout.write(`${[recordedLine(run), '', ...results.flatMap(lines)].join('\n')}\n`);
    });
}
