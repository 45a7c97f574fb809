// SPDX-License-Identifier: Apache-2.0
// What a simulation of an experiment needs from files: the experiment, its workloads, recordings; and its runs, some of them.

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf, packageRoot, UsageError } from '../common/index.ts';
import { loadPolicy } from '../control/index.ts';
import { fixedSettingNames } from '../decide/index.ts';
import {
  type Experiment,
  expandExperiment,
  ownMib,
  parseExperiment,
  parseRunRecords,
  parseWorkload,
  patternOf,
  type PlannedRun,
  type RunRecord,
} from '../experiment/index.ts';
import { readTrace, recordedRun } from '../record/index.ts';
import { type GuestSource, guestOfRecording, policyNameOf, simulateRun } from '../simulate/index.ts';

const MIB = 1024 * 1024;

export interface SimulationFiles {
  /** The experiment file. */
  readonly path: string;
  /** A result directory whose traces show guests that no formula describes; null: none. */
  readonly recordings: string | null;
  /** Instead of the experiment's own number of repeats; null: those. */
  readonly repeats: number | null;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The experiments and workloads that come with the testbed go by their names. */
function shippedOr(folder: string, nameOrFile: string): string {
  const shipped = join(packageRoot(), 'testbed', folder, `${nameOrFile}.yaml`);
  return !existsSync(nameOrFile) && existsSync(shipped) ? shipped : resolve(nameOrFile);
}

export class SimulatedExperiment {
  readonly experiment: Experiment;
  readonly plan: readonly PlannedRun[];
  /** Of the experiment file. */
  readonly text: string;
  readonly #path: string;
  readonly #recordings: string | null;
  readonly #sources = new Map<string, GuestSource>();

  constructor({ path, recordings, repeats }: SimulationFiles) {
    this.#path = shippedOr('experiments', path);
    this.#recordings = recordings;
    this.text = textOf(this.#path);
    const parsed = parseExperiment(this.text, basename(this.#path));
    // Nothing disturbs a model, so that nothing has to be controlled.
    this.experiment = { ...parsed, control: null, repeats: repeats ?? parsed.repeats };
    this.plan = expandExperiment(this.experiment, ['qemu-default', ...fixedSettingNames()]);
    for (const { name } of this.experiment.guests) this.#sourceOf(name);
  }

  #sourceOf(guestName: string): GuestSource {
    const known = this.#sources.get(guestName);
    if (known !== undefined) return known;
    const source = this.#patternSource(guestName);
    this.#sources.set(guestName, source);
    return source;
  }

  #recordedSource(guestName: string): GuestSource | null {
    const folder = this.#recordings;
    if (folder === null) return null;
    const records = parseRunRecords(textOf(join(folder, 'runs.jsonl')));
    for (const { guest, files } of records) {
      if (guest !== guestName || files.trace === null || !existsSync(join(folder, files.trace))) continue;
      const path = join(folder, files.trace);
      const found = guestOfRecording(recordedRun(readTrace(path), path));
      if (found !== null) return { kind: 'recorded', guest: found };
    }
    return null;
  }

  #patternSource(guestName: string): GuestSource {
    const guest = this.experiment.guests.find(({ name }) => name === guestName);
    if (guest === undefined) throw new UsageError(`there is no guest ${guestName}`);
    const path = guest.workload.endsWith('.yaml')
      ? resolve(dirname(this.#path), guest.workload)
      : shippedOr('workloads', guest.workload);
    const workload = parseWorkload(textOf(path), path);
    if (workload.app !== undefined) {
      const recorded = this.#recordedSource(guestName);
      if (recorded !== null) return recorded;
      throw new UsageError(`guest ${guestName}: what ${workload.app.name} writes is no formula`, {
        remedy: 'name a result directory with a trace of that guest: --recordings DIR',
      });
    }
    const memoryMib = guest.memoryBytes / MIB;
    const arenaMib = memoryMib - ownMib(memoryMib);
    return { kind: 'pattern', pattern: patternOf(workload.pattern, arenaMib * MIB) };
  }

  /** One run in the model. @throws UsageError where there is no such policy */
  async run(run: PlannedRun, setting: string | null): Promise<RunRecord> {
    const name = policyNameOf(run, setting);
    const isFile = run.policy.source.kind === 'file';
    const policy = await loadPolicy(isFile ? resolve(dirname(this.#path), name) : name);
    return simulateRun(run, this.experiment, this.#sourceOf(run.guest.name), policy, setting);
  }
}
