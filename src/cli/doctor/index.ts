// SPDX-License-Identifier: Apache-2.0
// slackwater doctor: what this machine has, what is missing, and how to get it; or what one QEMU offers. Changes nothing.

import type { Command } from 'commander';
import { Option } from 'commander';
import { RefusedError } from '../../common/index.ts';
import { type QemuOffer, readOffer } from '../../control/index.ts';
import { CHECKS } from './checks.ts';
import { formatResults, isLacking, runChecks } from './run-checks.ts';

interface DoctorOptions {
  readonly qmp?: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
  readonly for?: 'control' | 'testbed';
}

function formatOffer({ version, accelerator, patched, features }: QemuOffer): string {
  const width = Math.max(...features.map(({ name }) => name.length));
  const lines = features.map(
    ({ name, offered, whatFor }) => `${offered ? 'yes' : 'no '} ${name.padEnd(width)}  ${whatFor}`,
  );
  const series = patched ? 'with the patch series' : 'stock: without the patch series (npm run build:qemu)';
  return `QEMU ${version}, ${accelerator}, ${series}\n${lines.join('\n')}\n`;
}

/** Adds `doctor` to the main program. It ends with RefusedError (exit code 3) when something needed is missing. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check what this machine offers and say what is missing; changes nothing')
    .addOption(new Option('--for <purpose>', 'only what this needs').choices(['control', 'testbed']))
    .option('--qmp <address>', 'instead: what the QEMU behind this monitor offers, and whether it is patched')
    .option('--insecure', 'allow a QMP monitor on TCP off loopback')
    .option('--json', 'one JSON document on stdout')
    .action(async (options: DoctorOptions) => {
      if (options.qmp !== undefined) {
        const offer = await readOffer(options.qmp, { insecure: options.insecure === true });
        process.stdout.write(
          options.json === true
            ? `${JSON.stringify({ schema: 'slackwater.doctor-qemu/1', ...offer })}\n`
            : formatOffer(offer),
        );
        return;
      }
      const wanted = CHECKS.filter(({ neededFor }) => options.for !== 'control' || neededFor === 'control');
      const results = await runChecks(wanted);
      const lacking = results.filter(isLacking);
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ schema: 'slackwater.doctor/1', complete: lacking.length === 0, checks: results })}\n`
          : formatResults(results),
      );
      if (lacking.length === 0) return;
      const forControl = lacking.some(({ neededFor }) => neededFor === 'control');
      throw new RefusedError(
        `missing or not to be seen: ${lacking.map(({ name }) => name).join(', ')}` +
          (forControl ? '' : ' (the testbed needs it; controlling migrations does not)'),
        { remedy: 'as root on Debian, `npm run demo` and `npm test` install what packages can mend' },
      );
    });
}
