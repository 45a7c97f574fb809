// SPDX-License-Identifier: Apache-2.0
// The options that `migrate` and `attach` share, and their reading. Bad input ends here, before anything is touched.

import type { Command } from 'commander';
import { parseDurationMs, parseRateBytesPerSec, UsageError } from '../common/index.ts';
import { type ControlOptions, loadPolicy, type Mode } from '../control/index.ts';
import { parseWeights, parseWorkingSet } from './number-lists.ts';

export interface ControlFlags {
  readonly maxDowntime: string;
  readonly allowDowntime?: string;
  readonly deadline?: string;
  /** commander: --no-postcopy makes this false. */
  readonly postcopy: boolean;
  readonly requirePostcopy?: boolean;
  readonly policy: string;
  readonly mode: string;
  readonly trace?: string;
  readonly insecure?: boolean;
  readonly postcopyStall: string;
  readonly link?: string;
  readonly weights?: string;
  /** Of `migrate` alone: where it attaches, pages are not seen. */
  readonly workingSet?: string;
  readonly giveUp?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export function addControlOptions(command: Command): Command {
  return command
    .option('--max-downtime <time>', 'STOP to RESUME at most; never exceeded knowingly', '300ms')
    .option('--allow-downtime <time>', 'a higher ceiling for a guest that cannot meet --max-downtime')
    .option('--deadline <time>', 'be done by then, counted from the start of the migration')
    .option(
      '--weights <list>',
      'what total time, downtime, slowdown (each per ms) and bytes (ms per MB) weigh: tmt=1,downtime=1,slowdown=1,bytes=0',
    )
    .option('--link <rate>', 'what the link carries, where it is known beforehand, such as 1gbit')
    .option('--no-postcopy', 'pre-copy only')
    .option('--require-postcopy', 'refuse to start where post-copy cannot be used')
    .option(
      '--policy <name|file>',
      'adaptive, qemu-default, postcopy-immediate, a peer such as nova-abort, or ./mine.mjs',
      'adaptive',
    )
    .option('--mode <mode>', 'enforce acts, advise asks, observe only watches', 'enforce')
    .option('--give-up <time>', 'cancel a pre-copy that has not finished by then, whatever the policy')
    .option('--postcopy-stall <time>', 'pause a post-copy in which nothing moves for this long', '5s')
    .option('--trace <file>', 'record observations, forecasts, actions and events')
    .option('--insecure', 'allow a QMP monitor on TCP off loopback (better: ssh:HOST:/path)')
    .option('--json', 'one JSON document on stdout')
    .option('--quiet', 'no progress');
}

export async function readControlOptions(flags: ControlFlags): Promise<ControlOptions> {
  const duration = (text: string | undefined): number | null =>
    text === undefined ? null : parseDurationMs(text);
  const maxDowntimeMs = parseDurationMs(flags.maxDowntime);
  const allowDowntimeMs = duration(flags.allowDowntime);
  if (maxDowntimeMs < 1 || maxDowntimeMs > 2_000_000) {
    throw new UsageError(`--max-downtime: expected 1ms to 2000s, got ${flags.maxDowntime}`);
  }
  if (allowDowntimeMs !== null && allowDowntimeMs < maxDowntimeMs) {
    throw new UsageError('--allow-downtime is a higher ceiling: it must not be below --max-downtime');
  }
  if (!flags.postcopy && flags.requirePostcopy === true) {
    throw new UsageError('--no-postcopy and --require-postcopy exclude each other');
  }
  if (!['enforce', 'advise', 'observe'].includes(flags.mode)) {
    throw new UsageError(`--mode: expected enforce, advise or observe, got "${flags.mode}"`);
  }
  return {
    objective: {
      maxDowntimeMs,
      allowDowntimeMs,
      deadlineMs: duration(flags.deadline),
      postcopy: !flags.postcopy ? 'forbidden' : flags.requirePostcopy === true ? 'required' : 'allowed',
      ...(flags.weights === undefined ? {} : { weights: parseWeights(flags.weights) }),
      ...(flags.workingSet === undefined ? {} : { workingSet: parseWorkingSet(flags.workingSet) }),
    },
    policy: await loadPolicy(flags.policy),
    mode: flags.mode as Mode,
    tracePath: flags.trace ?? null,
    insecure: flags.insecure === true,
    postcopyStallMs: parseDurationMs(flags.postcopyStall),
    giveUpMs: duration(flags.giveUp),
    linkBytesPerSec: flags.link === undefined ? null : parseRateBytesPerSec(flags.link),
  };
}
