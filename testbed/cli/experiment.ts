// SPDX-License-Identifier: Apache-2.0
// slackwater-testbed experiment run | list | show.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  fixedSettingNames,
  formatBytes,
  formatMs,
  messageOf,
  packageRoot,
  UsageError,
} from '../../src/index.ts';
import {
  estimateMs,
  type Experiment,
  expandExperiment,
  filterRuns,
  parseExperiment,
  parseRunRecords,
  type PlannedRun,
  type RunRecord,
  tcpGoodputBytesPerSec,
} from '../../src/experiment/index.ts';
import { checkPlan } from '../experiment/check-plan.ts';
import { ResultsStore } from '../experiment/results-store.ts';
import { type Progress, runExperiment } from '../experiment/runner.ts';
import { NATIVE_LINK, parseLink } from '../net/link-profiles.ts';
import { openLaboratory } from '../stage/laboratory.ts';
import type { CommandEnvironment } from './environment.ts';

/** From the two QEMUs' start to a guest in its workload, the link measured, and all down again: on the reference machine. */
const BOOT_MS = 6000;
const AFTER_MS = 2000;
/** What a network that nobody has measured yet is taken for. */
const LIKELY_NATIVE_LINK = '10gbit';

/** The experiments that come with the testbed. */
function experimentsFolder(): string {
  return join(packageRoot(), 'testbed', 'experiments');
}

interface RunFlags {
  readonly results?: string;
  readonly only?: readonly string[];
  readonly resume?: boolean;
  readonly verbose?: boolean;
}

interface Loaded {
  readonly path: string;
  readonly text: string;
  readonly experiment: Experiment;
}

/** @throws UsageError where there is no such file, ExperimentError where it is wrong */
function load(file: string): Loaded {
  const named = join(experimentsFolder(), `${file}.yaml`);
  const path = !existsSync(file) && existsSync(named) ? named : resolve(file);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the experiment ${file}: ${messageOf(error)}`, {
      cause: error,
      remedy: 'see which there are: slackwater-testbed experiment list',
    });
  }
  return { path, text, experiment: parseExperiment(text, basename(path)) };
}

/** QEMU's own way of switching is a setting as well. */
function planOf(experiment: Experiment): PlannedRun[] {
  return expandExperiment(experiment, ['qemu-default', ...fixedSettingNames()]);
}

function hours(ms: number): string {
  return ms < 5_400_000 ? `${Math.ceil(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

function estimateText(experiment: Experiment, plan: readonly PlannedRun[]): string {
  const { lowerMs, upperMs } = estimateMs(
    experiment,
    {
      floorMs: ({ memoryBytes }, link) => {
        const { rateBytesPerSec } = parseLink(link === NATIVE_LINK ? LIKELY_NATIVE_LINK : link);
        return (memoryBytes / tcpGoodputBytesPerSec(rateBytesPerSec)) * 1000;
      },
      bootMs: BOOT_MS,
      afterMs: AFTER_MS,
    },
    plan,
  );
  return `${hours(lowerMs)} to ${hours(upperMs)}`;
}

function runLine(run: PlannedRun, attempt: number, { done, hopeless, total, leftMs }: Progress): string {
  const left =
    leftMs === null ? '' : `, done about ${new Date(Date.now() + leftMs).toTimeString().slice(0, 5)}`;
  const again = attempt === 0 ? '' : ` (attempt ${attempt + 1})`;
  return `[${done + hopeless}/${total}${left}] ${run.key}${again}`;
}

function recordLine(record: RunRecord): string {
  const figures = [
    ...(record.tmtMs === null ? [] : [`total ${formatMs(record.tmtMs)}`]),
    ...(record.downtimeGuestMs === null ? [] : [`client ${formatMs(record.downtimeGuestMs)}`]),
    ...(record.coherent === false ? ['NOT COHERENT'] : []),
    ...(record.disturbances.length === 0 ? [] : [`disturbed: ${record.disturbances.join('; ')}`]),
  ];
  const why = record.outcome === 'completed' ? '' : `: ${record.reason}`;
  return `  ${record.capped ? 'capped' : record.outcome}${why}${figures.length > 0 ? ` (${figures.join(', ')})` : ''}`;
}

async function runCommand(file: string, flags: RunFlags, environment: CommandEnvironment): Promise<void> {
  const { path, text, experiment } = load(file);
  const plan = filterRuns(planOf(experiment), flags.only ?? []);
  await checkPlan(plan, experiment, path, environment.signal);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const directory = resolve(flags.results ?? join('results', experiment.name));
  const store = await ResultsStore.open(directory, text, flags.resume === true, parseRunRecords);
  try {
    say(
      `${experiment.name}: ${plan.length} runs, ${estimateText(experiment, plan)}; results in ${directory}`,
    );
    await runExperiment({
      experiment,
      experimentPath: path,
      plan,
      store,
      laboratory: await openLaboratory(say),
      signal: environment.signal,
      events: {
        onProgress: say,
        onRun: (run, attempt, progress) => say(runLine(run, attempt, progress)),
        onRecord: (record) => say(recordLine(record)),
        onLine: (line) => flags.verbose === true && say(`  ${line}`),
      },
    });
    say(`done; see: slackwater-testbed report ${directory}`);
  } finally {
    store.close();
  }
}

function listCommand(): void {
  for (const name of readdirSync(experimentsFolder())
    .filter((each) => each.endsWith('.yaml'))
    .sort()) {
    const { experiment } = load(join(experimentsFolder(), name));
    const plan = planOf(experiment);
    process.stdout.write(
      `${experiment.name.padEnd(14)} ${experiment.title} (${plan.length} runs, ${estimateText(experiment, plan)})\n`,
    );
  }
}

function showCommand(file: string): void {
  const { experiment } = load(file);
  const plan = planOf(experiment);
  const { guests, links, policies, repeats, capMs } = experiment;
  const lines = [
    `${experiment.name}: ${experiment.title}`,
    ...(experiment.about === null ? [] : [experiment.about.trim()]),
    `guests: ${guests.map((guest) => `${guest.name} (${formatBytes(guest.memoryBytes)}, ${guest.workload})`).join(', ')}`,
    `links: ${links.join(', ')}`,
    `policies: ${policies.map(({ name }) => name).join(', ')}`,
    `${repeats} repeats, cap ${formatMs(capMs)}: ${plan.length} runs, ${estimateText(experiment, plan)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function registerExperiment(program: Command, environment: CommandEnvironment): void {
  const command = program.command('experiment').description('migrations by an experiment file');
  command
    .command('run <file>')
    .description('carry an experiment out (a file, or the name of one of ours); every run is kept')
    .option('--results <dir>', 'where results are kept; default results/NAME')
    .option('--only <filter...>', 'only runs that fit, such as guest=hot-*,policy=adaptive')
    .option('--resume', 'go on with the results that are there')
    .option('--verbose', "show the controller's own lines too")
    .action((file: string, flags: RunFlags) => runCommand(file, flags, environment));
  command.command('list').description('the experiments that come with the testbed').action(listCommand);
  command
    .command('show <file>')
    .description('what an experiment is, and the hours it takes')
    .action(showCommand);
}
