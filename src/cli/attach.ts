// SPDX-License-Identifier: Apache-2.0
// slackwater attach: the sidecar beside a VM.

import type { Command } from 'commander';
import { EXIT } from '../common/index.ts';
import { attach } from '../control/index.ts';
import { addControlOptions, type ControlFlags, readControlOptions } from './control-options.ts';
import { createDisplay } from './display.ts';
import { exitCodeOf } from './exit.ts';
import { interruptSignal } from './interrupt.ts';
import { printOutcome } from './outcome-output.ts';
import { programFile } from './program-file.ts';

interface AttachFlags extends ControlFlags {
  readonly qmp: string;
  readonly destQmp?: string;
  readonly once?: boolean;
}

export function registerAttach(program: Command): void {
  addControlOptions(
    program
      .command('attach')
      .description('wait beside a VM and control each migration that anybody starts')
      .requiredOption('--qmp <address>', "the VM's QMP monitor, one of its own")
      .option('--dest-qmp <address>', "the destination's monitor, if it is known")
      .option('--once', 'end after the first migration'),
  ).action(async (flags: AttachFlags) => {
    const control = await readControlOptions(flags);
    const display = createDisplay(process.stderr, flags.quiet === true);
    const interrupt = interruptSignal();
    try {
      const last = await attach(
        { ...control, source: flags.qmp, destination: flags.destQmp ?? null, once: flags.once === true },
        {
          reporter: display,
          program: programFile(),
          signal: interrupt.signal,
          onOutcome: (outcome) => {
            display.end();
            printOutcome(outcome, control.policy.name, flags.json === true);
          },
        },
      );
      // Let go on request, or the VM ended: nothing went wrong.
      process.exitCode = last !== null && flags.once === true ? exitCodeOf(last) : EXIT.completed;
    } finally {
      display.end();
      interrupt.dispose();
    }
  });
}
