// SPDX-License-Identifier: Apache-2.0
// slackwater status, cancel, recover, restore: the operator's single steps.

import type { Command } from 'commander';
import { EXIT, formatBytes } from '../common/index.ts';
import {
  cancelMigration,
  describeReport,
  type EndStatus,
  readStatus,
  recover,
  restoreAbandoned,
  restoreJournal,
  restoreUntilDone,
} from '../control/index.ts';
import { createDisplay } from './display.ts';
import { exitCodeOf } from './exit.ts';
import { printOutcome } from './outcome-output.ts';

interface EndFlags {
  readonly qmp: string;
  readonly destQmp?: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
}

function statusLine(status: EndStatus): string {
  const parts = [`guest ${status.runStatus}`, `migration ${status.migration}`];
  if (status.round !== null) parts.push(`round ${status.round}`);
  if (status.remainingBytes !== null) parts.push(`${formatBytes(status.remainingBytes)} left`);
  if (status.transferredBytes !== null) parts.push(`${formatBytes(status.transferredBytes)} sent`);
  if (status.errorText !== null) parts.push(status.errorText);
  return `${status.end}: ${parts.join(', ')}`;
}

export function registerOperations(program: Command): void {
  const insecure = '--insecure';
  program
    .command('status')
    .description('what one or both QEMUs say of guest and migration; changes nothing')
    .requiredOption('--qmp <address>', "the source's QMP monitor")
    .option('--dest-qmp <address>', "the destination's")
    .option(insecure, 'allow a QMP monitor on TCP off loopback')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags: EndFlags) => {
      const options = { insecure: flags.insecure === true };
      const ends = [await readStatus('source', flags.qmp, options)];
      if (flags.destQmp !== undefined) ends.push(await readStatus('destination', flags.destQmp, options));
      const document = {
        schema: 'slackwater/status@1',
        ends: ends.map((end) => ({
          end: end.end,
          address: end.address,
          run_status: end.runStatus,
          running: end.running,
          migration: end.migration,
          round: end.round,
          remaining_bytes: end.remainingBytes,
          transferred_bytes: end.transferredBytes,
          error: end.errorText,
        })),
      };
      const text = flags.json === true ? JSON.stringify(document) : ends.map(statusLine).join('\n');
      process.stdout.write(`${text}\n`);
    });

  program
    .command('cancel')
    .description('cancel a migration in pre-copy; the guest goes on running on the source')
    .requiredOption('--qmp <address>', "the source's QMP monitor")
    .option(insecure, 'allow a QMP monitor on TCP off loopback')
    .action(async (flags: EndFlags) => {
      process.stdout.write(`${await cancelMigration(flags.qmp, { insecure: flags.insecure === true })}\n`);
    });

  program
    .command('recover')
    .description('recover a paused post-copy over a new connection, and stay until the guest is whole')
    .requiredOption('--qmp <address>', "the source's QMP monitor")
    .requiredOption('--dest-qmp <address>', "the destination's")
    .requiredOption('--to <uri>', 'where the destination is to listen: tcp:HOST:PORT')
    .option(insecure, 'allow a QMP monitor on TCP off loopback')
    .option('--json', 'one JSON document on stdout')
    .action(async (flags: EndFlags & { destQmp: string; to: string }) => {
      const outcome = await recover(
        { source: flags.qmp, destination: flags.destQmp, uri: flags.to, insecure: flags.insecure === true },
        createDisplay(process.stderr, false),
      );
      printOutcome(outcome, 'recover', flags.json === true);
      process.exitCode = exitCodeOf(outcome);
    });

  program
    .command('restore')
    .description('put back the settings that a killed controller left')
    .option('--journal <file>', 'one journal (default: all that no live process holds)')
    .option('--wait', 'try again until nothing is left to put back')
    .action(async (flags: { journal?: string; wait?: boolean }) => {
      const reports =
        flags.journal === undefined
          ? await restoreAbandoned()
          : [
              flags.wait === true
                ? await restoreUntilDone(flags.journal)
                : await restoreJournal(flags.journal),
            ];
      const lines = reports.flatMap(describeReport);
      process.stdout.write(`${lines.length > 0 ? lines.join('\n') : 'nothing to restore'}\n`);
      if (reports.some(({ pending }) => pending.length > 0)) process.exitCode = EXIT.unknown;
    });
}
