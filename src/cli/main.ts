#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The slackwater command. One file per command; this one only joins them and turns what they throw into exit codes.

import { Command, CommanderError } from 'commander';
import { EXIT, packageVersion } from '../common/index.ts';
import { EXIT_CODE_HELP, reportError } from './exit.ts';

type Register = (program: Command) => void;

const operations = async (): Promise<Register> => (await import('./operations.ts')).registerOperations;

// Only what is called is loaded: a controller starts beside guests, which miss the CPU time that it takes.
const COMMANDS = new Map<string, () => Promise<Register>>([
  ['migrate', async () => (await import('./migrate.ts')).registerMigrate],
  ['attach', async () => (await import('./attach.ts')).registerAttach],
  ['gang', async () => (await import('./gang.ts')).registerGang],
  ...['status', 'cancel', 'recover', 'restore'].map((name) => [name, operations] as const),
  ['estimate', async () => (await import('./estimate.ts')).registerEstimate],
  ['replay', async () => (await import('./replay.ts')).registerReplay],
  ['simulate', async () => (await import('./simulate.ts')).registerSimulate],
  ['doctor', async () => (await import('./doctor/index.ts')).registerDoctor],
  ['trace', async () => (await import('./trace.ts')).registerTrace],
]);

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
const called = COMMANDS.get(process.argv[2] ?? '');
// Help and a word that is no command need them all.
for (const load of new Set(called === undefined ? COMMANDS.values() : [called])) (await load())(program);
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
