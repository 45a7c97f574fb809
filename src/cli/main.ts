#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The slackwater command. One file per command; this one only joins them and turns what they throw into exit codes.

import { Command, CommanderError } from 'commander';
import { EXIT, packageVersion } from '../common/index.ts';
import { registerAttach } from './attach.ts';
import { registerDoctor } from './doctor/index.ts';
import { EXIT_CODE_HELP, reportError } from './exit.ts';
import { registerGang } from './gang.ts';
import { registerEstimate } from './estimate.ts';
import { registerMigrate } from './migrate.ts';
import { registerOperations } from './operations.ts';
import { registerReplay } from './replay.ts';
import { registerSimulate } from './simulate.ts';
import { registerTrace } from './trace.ts';

// A reader that closes the pipe early (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});

// Nobody listens any more: a terminal or its reader has ended. What is under way goes on, for a VM depends on it.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const program = new Command('slackwater')
  .description(
    'A controller for QEMU live migration: forecasts where it is heading and switches at the right moment',
  )
  .version(packageVersion())
  .exitOverride()
  .addHelpText('after', EXIT_CODE_HELP);
registerMigrate(program);
registerAttach(program);
registerGang(program);
registerOperations(program);
registerEstimate(program);
registerReplay(program);
registerSimulate(program);
registerDoctor(program);
registerTrace(program);
for (const command of program.commands) command.exitOverride().addHelpText('after', EXIT_CODE_HELP);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.completed : EXIT.usage;
  } else {
    process.exitCode = reportError(error);
  }
}
