// SPDX-License-Identifier: Apache-2.0
// A result directory: the experiment as it was run, the machine, a line for each run in `runs.jsonl`, and each run's own
// files under `runs/`. Complete after every run, so that a killed runner goes on where it was. One runner at a time.

import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf, RefusedError } from '../../src/index.ts';
import { parseRunRecords, type RunRecord } from '../../src/experiment/index.ts';
import { isRunning, ownIdentity, type ProcessIdentity } from '../host/process-identity.ts';
import { TestbedError } from '../errors.ts';

/** The result directory cannot be written to: a full disk, above all. */
export class ResultsError extends TestbedError {
  readonly code = 'ERR_TESTBED_RESULTS';
}

const EXPERIMENT = 'experiment.yaml';
const MACHINE = 'machine.json';
const RECORDS = 'runs.jsonl';
const LOCK = 'runner.lock';
/** Given back when the disk is full, so that the run that hit it can still be told as failed. */
const RESERVE = '.reserve';
const RESERVE_BYTES = 256 * 1024;

/** Where one attempt's files go: on this machine, and from the result directory, as records tell it. */
export interface RunDirectory {
  readonly path: string;
  readonly relative: string;
}

export class ResultsStore {
  readonly directory: string;
  readonly #records: RunRecord[];

  private constructor(directory: string, records: RunRecord[]) {
    this.directory = directory;
    this.#records = records;
  }

  /**
   * Opens a new or (`resume`) an earlier result directory of this very experiment and locks it.
   * @throws RefusedError when there are results already, of another experiment, or another runner is at work
   */
  static async open(directory: string, experimentText: string, resume: boolean): Promise<ResultsStore> {
    const experimentPath = join(directory, EXPERIMENT);
    if (existsSync(experimentPath)) {
      if (!resume) {
        throw new RefusedError(`there are results in ${directory} already`, {
          remedy: 'go on with them by --resume, or name another --results directory',
        });
      }
      if (readFileSync(experimentPath, 'utf8') !== experimentText) {
        throw new RefusedError(`the results in ${directory} are of another version of the experiment`, {
          remedy: `use ${experimentPath}, or name another --results directory`,
        });
      }
    }
    mkdirSync(join(directory, 'runs'), { recursive: true });
    await lock(join(directory, LOCK));
    const store = new ResultsStore(directory, readRecords(directory));
    store.#write(EXPERIMENT, experimentText);
    store.#write(RESERVE, Buffer.alloc(RESERVE_BYTES, 1));
    return store;
  }

  get records(): readonly RunRecord[] {
    return this.#records;
  }

  /** A new, empty directory for one attempt's files; what a killed runner left in it goes. */
  runDirectory(slug: string, attempt: number): RunDirectory {
    const relative = join('runs', attempt === 0 ? slug : `${slug}~${attempt}`);
    const path = join(this.directory, relative);
    rmSync(path, { recursive: true, force: true });
    try {
      mkdirSync(path, { recursive: true });
    } catch (error) {
      throw new ResultsError(`cannot make ${path}: ${messageOf(error)}`, { cause: error });
    }
    return { path, relative };
  }

  writeMachine(facts: Readonly<Record<string, unknown>>): void {
    this.#write(MACHINE, `${JSON.stringify(facts, null, 2)}\n`);
  }

  /** Appends a record; it is on disk when this returns. @throws ResultsError */
  append(record: RunRecord): void {
    const path = join(this.directory, RECORDS);
    const line = `${JSON.stringify(record)}\n`;
    try {
      appendSynced(path, line);
    } catch (error) {
      rmSync(join(this.directory, RESERVE), { force: true });
      try {
        dropPartialLine(path);
        appendSynced(path, line);
      } catch {
        throw new ResultsError(`cannot write ${path}: ${messageOf(error)}`, {
          cause: error,
          remedy: 'free some space and go on with --resume',
        });
      }
    }
    this.#records.push(record);
  }

  close(): void {
    rmSync(join(this.directory, RESERVE), { force: true });
    rmSync(join(this.directory, LOCK), { force: true });
  }

  #write(name: string, content: string | Buffer): void {
    const path = join(this.directory, name);
    try {
      writeFileSync(path, content);
    } catch (error) {
      throw new ResultsError(`cannot write ${path}: ${messageOf(error)}`, {
        cause: error,
        remedy: 'free some space, or name another --results directory',
      });
    }
  }
}

function appendSynced(path: string, line: string): void {
  const file = openSync(path, 'a');
  try {
    appendFileSync(file, line);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function dropPartialLine(path: string): void {
  if (!existsSync(path)) return;
  const content = readFileSync(path);
  truncateSync(path, content.lastIndexOf(0x0a) + 1);
}

/** The records so far; what a killed runner left of a line is dropped from the file, so that appending goes on cleanly. */
function readRecords(directory: string): RunRecord[] {
  const path = join(directory, RECORDS);
  if (!existsSync(path)) return [];
  dropPartialLine(path);
  return parseRunRecords(readFileSync(path, 'utf8'));
}

async function lock(path: string): Promise<void> {
  const mine = JSON.stringify(await ownIdentity());
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ResultsError(`cannot write ${path}: ${messageOf(error)}`, { cause: error });
      }
    }
    if (await isHeld(path)) {
      throw new RefusedError(`another runner writes to these results (${path})`, {
        remedy: 'let it finish, or end it; then --resume',
      });
    }
    rmSync(path, { force: true });
  }
  throw new ResultsError(`cannot lock ${path}: others keep taking it`);
}

async function isHeld(path: string): Promise<boolean> {
  try {
    return await isRunning(JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity);
  } catch {
    // Half-written by a runner that was killed at once.
    return false;
  }
}
