// SPDX-License-Identifier: Apache-2.0
// slackwater simulate: a whole experiment in the model, on all cores.

import { fork } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { groupBy, RefusedError, seededRandom, UsageError } from '../common/index.ts';
import { bestSetting, cellKey, type RunRecord, searchedSettings } from '../experiment/index.ts';
import { adaptivePolicies, buildReport, renderHtml, renderMarkdown } from '../report/index.ts';
import { SimulatedExperiment, type SimulationFiles } from './simulate-cells.ts';
import type { SimulationShare } from './simulate-worker.ts';

interface SimulateFlags {
  readonly recordings?: string;
  readonly results?: string;
  readonly repeats?: string;
  readonly jobs?: string;
  readonly json?: boolean;
}

/** The reports' resampling: the same records give the same figures. */
const SEED = 1;

/** The worker beside this file, in the sources as in what is built. */
const WORKER = join(import.meta.dirname, `simulate-worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`);

type SimulatedShare = readonly { readonly index: number; readonly record: RunRecord }[];

async function inProcess(share: SimulationShare): Promise<SimulatedShare> {
  return await new Promise((resolveShare, reject) => {
    const worker = fork(WORKER, { serialization: 'advanced' });
    worker.once('message', (records) => {
      resolveShare(records as SimulatedShare);
      worker.disconnect();
    });
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(new Error(`a process of the simulation ended with ${String(code)}`)),
    );
    worker.send(share);
  });
}

async function onAllCores(
  files: SimulationFiles,
  runs: SimulationShare['runs'],
  jobs: number,
): Promise<Map<number, RunRecord>> {
  // Dealt out like cards: neighbours in the plan take about as long.
  const shares = Array.from({ length: Math.min(jobs, runs.length) }, (_, i) =>
    runs.filter((_run, at) => at % jobs === i),
  );
  const dealt = await Promise.all(shares.map((share) => inProcess({ files, runs: share })));
  return new Map(dealt.flat().map(({ index, record }) => [index, record]));
}

/** The oracle's runs come after its search: what that picked is what they do. */
async function simulateAll(files: SimulationFiles, jobs: number): Promise<RunRecord[]> {
  const { plan } = new SimulatedExperiment(files);
  const isOracle = (index: number): boolean => plan[index]?.policy.source.kind === 'oracle';
  const indices = plan.map((_, index) => index);
  const first = indices.filter((index) => !isOracle(index)).map((index) => ({ index, setting: null }));
  const records = await onAllCores(files, first, jobs);
  const found = [...records.values()];
  const settings = new Map<string, string | null>();
  const later = indices.filter(isOracle).flatMap((index) => {
    const run = plan[index];
    if (run === undefined) return [];
    const key = cellKey(run.guest.name, run.link, run.policy.name);
    if (!settings.has(key)) {
      const { maxDowntimeMs } = run.policy.objective;
      settings.set(key, bestSetting(searchedSettings(found, run.guest.name, run.link), maxDowntimeMs));
    }
    const setting = settings.get(key) ?? null;
    return setting === null ? [] : [{ index, setting }];
  });
  if (later.length > 0)
    for (const [index, record] of await onAllCores(files, later, jobs)) records.set(index, record);
  return indices.flatMap((index) => records.get(index) ?? []);
}

function keep(directory: string, experimentText: string, records: readonly RunRecord[]): void {
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    throw new RefusedError(`there is something in ${directory} already`, {
      remedy: 'name another directory, or remove what is there',
    });
  }
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'runs.jsonl'), `${records.map((each) => JSON.stringify(each)).join('\n')}\n`);
  writeFileSync(join(directory, 'experiment.yaml'), experimentText);
  writeFileSync(join(directory, 'machine.json'), `${JSON.stringify({ simulated: 'yes' }, null, 2)}\n`);
}

function positive(text: string | undefined, option: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`${option}: expected a whole number above 0, got "${text}"`);
  }
  return value;
}

async function simulateCommand(path: string, flags: SimulateFlags): Promise<void> {
  const files: SimulationFiles = {
    path,
    recordings: flags.recordings === undefined ? null : resolve(flags.recordings),
    repeats: positive(flags.repeats, '--repeats'),
  };
  const jobs = positive(flags.jobs, '--jobs') ?? availableParallelism();
  const startMs = performance.now();
  const records = await simulateAll(files, jobs);
  const seconds = (performance.now() - startMs) / 1000;
  const { experiment, text } = new SimulatedExperiment(files);
  const cells = groupBy(records, ({ guest, link, policy }) => cellKey(guest, link, policy)).size;
  process.stderr.write(
    `${records.length} migrations of ${cells} cells in ${seconds.toFixed(1)} s by ${jobs} processes, all of them in the model\n`,
  );
  const report = buildReport(
    {
      name: experiment.name,
      title: `${experiment.title} (in the model)`,
      about: experiment.about ?? '',
      machine: { simulated: 'yes' },
      policies: experiment.policies.map(({ name }) => name),
      ours: adaptivePolicies(experiment.policies),
      records,
    },
    seededRandom(SEED),
  );
  if (flags.results !== undefined) {
    const directory = resolve(flags.results);
    keep(directory, text, records);
    writeFileSync(join(directory, 'report.html'), renderHtml(report, []));
  }
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ schema: 'slackwater/simulate@1', experiment: experiment.name, records })}\n`
      : renderMarkdown(report),
  );
}

export function registerSimulate(program: Command): void {
  program
    .command('simulate <experiment>')
    .description('a whole experiment in the model: no QEMU, thousands of migrations a second')
    .option(
      '--recordings <dir>',
      'a result directory whose traces show guests that are no formula (applications)',
    )
    .option(
      '--repeats <n>',
      "instead of the experiment's own; each repeat begins at another moment of the guest's turn",
    )
    .option('--results <dir>', 'keep records and an HTML report there, as of real runs')
    .option('--jobs <n>', 'processes (default: one for each core)')
    .option('--json', 'one JSON document on stdout')
    .action(simulateCommand);
}
