// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed traffic run FILE, report DIR: gangs of guests over a NIC that others use, too.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { formatMs, messageOf, packageRoot, UsageError } from '../../src/index.ts';
import { parseTraffic, parseTrafficRecords, type TrafficRecord } from '../../src/experiment/index.ts';
import {
  seededRandom,
  trafficHtml,
  trafficMarkdown,
  type TrafficPage,
  trafficRows,
} from '../../src/report/index.ts';
import { ResultsStore } from '../experiment/results-store.ts';
import { parseLink } from '../index.ts';
import { openLaboratory } from '../stage/laboratory.ts';
import { runTraffic } from '../traffic/runner.ts';
import type { CommandEnvironment } from './environment.ts';

const SEED = 1;

interface RunFlags {
  readonly results?: string;
  readonly resume?: boolean;
  readonly only?: string;
  readonly verbose?: boolean;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** A file, or the name of one that comes with the testbed. */
function pathOf(file: string): string {
  const named = join(packageRoot(), 'testbed', 'experiments', 'traffic', `${file}.yaml`);
  return !existsSync(file) && existsSync(named) ? named : resolve(file);
}

function recordLine({ outcome, reason, beganMs, endedMs, disturbances, coherent }: TrafficRecord): string {
  const figures = [
    ...(beganMs === null || endedMs === null ? [] : [`total ${formatMs(endedMs - beganMs)}`]),
    ...(coherent === false ? ['NOT COHERENT'] : []),
    ...(disturbances.length === 0 ? [] : [`disturbed: ${disturbances.join('; ')}`]),
  ];
  return `  ${outcome}: ${[reason, ...figures].join(', ')}`;
}

async function runCommand(file: string, flags: RunFlags, { signal }: CommandEnvironment): Promise<void> {
  const path = pathOf(file);
  const text = readText(path);
  const experiment = parseTraffic(text, basename(path));
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const directory = resolve(flags.results ?? join('results', experiment.name));
  const store = await ResultsStore.open(directory, text, flags.resume === true, parseTrafficRecords);
  try {
    await runTraffic({
      experiment,
      store,
      laboratory: await openLaboratory(say),
      signal,
      only: flags.only ?? '',
      onRun: ({ key }, attempt, done, total) =>
        say(`[${done}/${total}] ${key}${attempt === 0 ? '' : ` (attempt ${attempt + 1})`}`),
      onRecord: (record) => say(recordLine(record)),
      onLine: (line) => flags.verbose === true && say(`  ${line}`),
    });
    say(`done; see: slackwater-testbed traffic report ${directory}`);
  } finally {
    store.close();
  }
}

function readPage(directory: string): TrafficPage {
  const experiment = parseTraffic(readText(join(directory, 'experiment.yaml')), 'experiment.yaml');
  const records = parseTrafficRecords(readText(join(directory, 'runs.jsonl')));
  const linkBytesPerSec = parseLink(experiment.link).rateBytesPerSec;
  const machinePath = join(directory, 'machine.json');
  return {
    experiment,
    linkBytesPerSec,
    rows: trafficRows(experiment, records, linkBytesPerSec, seededRandom(SEED)),
    machine: existsSync(machinePath)
      ? (JSON.parse(readText(machinePath)) as Record<string, string | number | null>)
      : {},
  };
}

function write(path: string, content: string): void {
  writeFileSync(path, content);
  process.stdout.write(`${path}\n`);
}

function reportCommand(directory: string, flags: { readonly out?: string }): void {
  const page = readPage(directory);
  const out = resolve(flags.out ?? join(directory, 'report'));
  mkdirSync(out, { recursive: true });
  write(join(out, 'report.html'), trafficHtml(page));
  write(join(out, 'report.md'), trafficMarkdown(page.experiment, page.rows));
}

/** Records are small: all of them are kept, logs are not. Figures can be drawn of them at any time. */
function publishCommand(directory: string, to: string): void {
  const { experiment, rows } = readPage(directory);
  mkdirSync(to, { recursive: true });
  for (const name of ['experiment.yaml', 'machine.json', 'runs.jsonl']) {
    copyFileSync(join(directory, name), join(to, name));
  }
  write(join(to, 'report.md'), trafficMarkdown(experiment, rows));
}

export function registerTraffic(program: Command, environment: CommandEnvironment): void {
  const command = program
    .command('traffic')
    .description('gangs of guests that migrate while others use the same NIC');
  command
    .command('run <file>')
    .description('carry a traffic experiment out (a file, or the name of one of ours); every run is kept')
    .option('--results <dir>', 'where results are kept; default results/NAME')
    .option('--only <prefix>', 'only runs whose CASE/POLICY/REPEAT begins so')
    .option('--resume', 'go on with the results that are there')
    .option('--verbose', "show the controller's own lines too")
    .action((file: string, flags: RunFlags) => runCommand(file, flags, environment));
  command
    .command('report <dir>')
    .description('results as one HTML file with figures, and a Markdown table')
    .option('--out <dir>', 'where they are written; default DIR/report')
    .action(reportCommand);
  command
    .command('publish <dir> <to>')
    .description('records and report of a result directory, small enough to keep')
    .action(publishCommand);
}
