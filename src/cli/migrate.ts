// SPDX-License-Identifier: Apache-2.0
// slackwater migrate: a whole migration under control.

import type { Command } from 'commander';
import { parseDurationMs, parseRateBytesPerSec, UsageError } from '../common/index.ts';
import { migrate } from '../control/index.ts';
import { addControlOptions, type ControlFlags, readControlOptions } from './control-options.ts';
import { createDisplay } from './display.ts';
import { exitCodeOf } from './exit.ts';
import { interruptSignal } from './interrupt.ts';
import { printOutcome } from './outcome-output.ts';
import { programFile } from './program-file.ts';

interface MigrateFlags extends ControlFlags {
  readonly qmp: string;
  readonly destQmp: string;
  readonly to: string;
  readonly bandwidth?: string;
  readonly profile?: string;
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
  readonly quitSource?: boolean;
}

/** Shorter than a second shows nothing of a course, longer than an hour nobody waits. @throws UsageError */
export function parseProfileMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms < 1000 || ms > 3_600_000) throw new UsageError(`--profile: expected 1s to 1h, got ${text}`);
  return ms;
}

export function registerMigrate(program: Command): void {
  addControlOptions(
    program
      .command('migrate')
      .description('migrate a guest: both ends prepared, controlled, concluded, everything put back')
      .requiredOption('--qmp <address>', "the source's QMP monitor: /PATH, tcp:HOST:PORT or ssh:HOST:/PATH")
      .requiredOption('--dest-qmp <address>', "the destination's, started with -incoming defer")
      .requiredOption('--to <uri>', 'where the destination is to listen: tcp:HOST:PORT')
      .option(
        '--bandwidth <rate>',
        'max-bandwidth of this migration, such as 1gbit (default: as set in QEMU)',
      )
      .option(
        '--profile <time>',
        'watch the guest for so long first (10s or more), so that its course is known: 20s finds periods up to 10 s',
      )
      .option(
        '--working-set <list>',
        'when the pages written are the same round after round (patched QEMU): similarity=0.9,size=0.04,rounds=2',
      )
      .option('--tls-creds <id>', 'TLS credentials object present in both QEMUs')
      .option('--tls-hostname <name>', "name in the destination's certificate")
      .option('--quit-source', 'quit the source once the guest runs on the destination'),
  ).action(async (flags: MigrateFlags) => {
    const control = await readControlOptions(flags);
    const display = createDisplay(process.stderr, flags.quiet === true);
    const interrupt = interruptSignal();
    try {
      const outcome = await migrate(
        {
          ...control,
          source: flags.qmp,
          destination: flags.destQmp,
          uri: flags.to,
          bandwidthBytesPerSec: flags.bandwidth === undefined ? null : parseRateBytesPerSec(flags.bandwidth),
          profileMs: flags.profile === undefined ? 0 : parseProfileMs(flags.profile),
          tlsCreds: flags.tlsCreds ?? null,
          tlsHostname: flags.tlsHostname ?? null,
          quitSource: flags.quitSource === true,
        },
        { reporter: display, program: programFile(), signal: interrupt.signal },
      );
      display.end();
      printOutcome(outcome, control.policy.name, flags.json === true);
      process.exitCode = exitCodeOf(outcome);
    } finally {
      display.end();
      interrupt.dispose();
    }
  });
}
