// SPDX-License-Identifier: Apache-2.0
// slackwater gang: many VMs from one host to another, over the NIC that they share with everybody else.

import { mkdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { EXIT, messageOf, UsageError } from '../common/index.ts';
import { type GangDeps, parseGangPlan, prepareGang, runGang } from '../control/index.ts';
import { createGangDisplay, planText } from './gang-display.ts';
import { gangDocument, gangExitCode, gangLines, planDocument } from './gang-output.ts';
import { interruptSignal } from './interrupt.ts';
import { programFile } from './program-file.ts';

interface GangFlags {
  readonly plan?: boolean;
  readonly traceDir?: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

function readPlan(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the plan: ${messageOf(error)}`, { cause: error });
  }
}

export function registerGang(program: Command): void {
  program
    .command('gang <file>')
    .description(
      'migrate many guests by a plan file: order, technique, shares of the NIC, floors for the others',
    )
    .option('--plan', 'print the plan with its forecast, and change nothing')
    .option('--trace-dir <directory>', "record each VM's migration there, as NAME.trace")
    .option('--insecure', 'allow QMP monitors on TCP off loopback')
    .option('--json', 'one JSON document on stdout')
    .option('--quiet', 'no progress')
    .action(async (path: string, flags: GangFlags) => {
      const file = parseGangPlan(readPlan(path), path);
      if (flags.traceDir !== undefined && flags.plan !== true) mkdirSync(flags.traceDir, { recursive: true });
      const isPlan = flags.plan === true;
      const display = createGangDisplay(process.stderr, flags.quiet === true || isPlan);
      const interrupt = interruptSignal();
      const deps: GangDeps = {
        reporter: display,
        program: programFile(),
        insecure: flags.insecure === true,
        traceDirectory: flags.traceDir ?? null,
        signal: interrupt.signal,
      };
      try {
        if (isPlan) {
          const planned = await prepareGang(file, deps);
          const text = flags.json === true ? JSON.stringify(planDocument(planned)) : planText(planned);
          process.stdout.write(`${text}\n`);
          return;
        }
        const outcome = await runGang(file, deps);
        display.end();
        const text =
          flags.json === true ? JSON.stringify(gangDocument(outcome)) : gangLines(outcome).join('\n');
        process.stdout.write(`${text}\n`);
        process.exitCode = gangExitCode(outcome);
      } catch (error) {
        if (!interrupt.signal.aborted || (error as Error).name !== 'AbortError') throw error;
        // The fleet answers an interrupt by itself once it has begun: this one came before.
        process.stderr.write('slackwater: interrupted; nothing was changed\n');
        process.exitCode = EXIT.interrupted;
      } finally {
        display.end();
        interrupt.dispose();
      }
    });
}
