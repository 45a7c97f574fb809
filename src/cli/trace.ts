// SPDX-License-Identifier: Apache-2.0
// slackwater trace show: a recorded migration, one line a row.

import type { Command } from 'commander';
import { formatBytes, formatMs, formatRate } from '../common/index.ts';
import { readTrace, type TraceRow } from '../record/index.ts';

function bytes(value: unknown): string {
  return typeof value === 'number' ? formatBytes(value) : '-';
}

function ms(value: unknown): string {
  return typeof value === 'number' ? formatMs(value) : '-';
}

function rate(value: unknown): string {
  return typeof value === 'number' ? formatRate(value) : '-';
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number'
    ? String(value)
    : JSON.stringify(value ?? null);
}

function describe({ type, fields }: TraceRow): string {
  switch (type) {
    case 'observation':
      return `${text(fields['status'])} round ${text(fields['round'])}, ${bytes(fields['remainingBytes'])} left, ${bytes(fields['transferredBytes'])} sent, ${rate(fields['bandwidthBytesPerSec'])}${fields['dirtyAtRoundStartBytes'] === null ? '' : `, W ${bytes(fields['dirtyAtRoundStartBytes'])} after ${ms(fields['endedRoundMs'])}`}`;
    case 'forecast':
      return fields['ready'] === true
        ? `H ${bytes(fields['hotBytes'])}, tau ${ms(fields['tauMs'])}, plateau ${bytes(fields['plateauBytes'])}; pre-copy now: downtime ${ms(fields['precopyNowDowntimeMs'])}, total ${ms(fields['precopyNowTmtMs'])}; post-copy now: total ${ms(fields['postcopyNowTmtMs'])}`
        : 'not ready';
    case 'action':
      return `${text(fields['kind'])}${fields['change'] === null ? '' : ` ${text(fields['change'])}`}${fields['carriedOut'] === true ? '' : ' (not carried out)'}: ${text(fields['text'])}`;
    case 'context':
      return `memory ${bytes(fields['memoryBytes'])}, post-copy ${fields['postcopyReady'] === true ? 'ready' : 'not to be had'}, ${text(fields['objective'])}`;
    case 'profile':
      return `${bytes(fields['dirtyBytes'])} dirtied within ${ms(fields['windowMs'])}`;
    case 'event':
      return `${text(fields['end'])} ${text(fields['name'])}${fields['data'] === null ? '' : ` ${text(fields['data'])}`}`;
    case 'note':
      return text(fields['text']);
    case 'outcome':
      return `${text(fields['kind'])}: ${text(fields['reason'])}; total ${ms(fields['tmtMs'])}, STOP to RESUME ${ms(fields['stopToResumeMs'])}`;
  }
}

export function registerTrace(program: Command): void {
  program
    .command('trace')
    .description('recorded migrations')
    .command('show <file>')
    .description('print a trace, one line a row')
    .option('--json', 'one JSON document on stdout')
    .action((file: string, flags: { json?: boolean }) => {
      const trace = readTrace(file);
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ schema: 'slackwater/trace@1', ...trace })}\n`);
        return;
      }
      const { header } = trace;
      process.stdout.write(`policy ${header.policy}, QEMU ${header.qemuVersion}, mode ${header.mode}\n`);
      for (const row of trace.rows) {
        process.stdout.write(
          `${(row.atMs / 1000).toFixed(3).padStart(9)} s  ${row.type.padEnd(11)} ${describe(row)}\n`,
        );
      }
      if (!trace.complete) process.stderr.write('the trace ends within a row: its writer was cut off\n');
    });
}
