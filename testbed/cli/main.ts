#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed: makes, lists and removes testbeds. One file per command; this one only joins them and turns what they
// throw into an exit code.

import { Command, CommanderError } from 'commander';
import { EXIT, SlackwaterError, messageOf } from '../../src/index.ts';
import type { CommandEnvironment } from './environment.ts';
import { registerBuildQemu } from './build-qemu.ts';
import { registerDemo } from './demo.ts';
import { registerDown } from './down.ts';
import { registerExperiment } from './experiment.ts';
import { registerList } from './list.ts';
import { registerReap } from './reap.ts';
import { registerReport } from './report.ts';
import { registerTraffic } from './traffic.ts';
import { registerUp } from './up.ts';

const COMMANDS: readonly ((program: Command, environment: CommandEnvironment) => void)[] = [
  registerUp,
  registerDown,
  registerList,
  registerReap,
  registerDemo,
  registerExperiment,
  registerReport,
  registerTraffic,
  registerBuildQemu,
];

async function main(): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interrupted.abort();
    });
  }
  const program = new Command('slackwater-testbed')
    .description('Two hosts, a client and a link on one machine, to migrate guests on')
    .exitOverride()
    .showHelpAfterError();
  for (const register of COMMANDS) register(program, { signal: interrupted.signal });
  try {
    await program.parseAsync();
    return Number(process.exitCode ?? EXIT.completed);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.completed : EXIT.usage;
    if (interrupted.signal.aborted) {
      process.stderr.write('interrupted; what was half made is removed\n');
      return EXIT.interrupted;
    }
    report(error);
    return error instanceof SlackwaterError ? error.exitCode : EXIT.bug;
  }
}

function report(error: unknown): void {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof SlackwaterError) {
    if (error.remedy !== undefined) process.stderr.write(`  ${error.remedy}\n`);
  } else if (error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  }
}

// A reader that has seen enough (`| head`) is no failure. The command still runs to its end: it may have things to undo.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await main();
