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
  renameSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { EXIT, formatBytes, messageOf, RefusedError } from '../../src/index.ts';
import { isRunning, ownIdentity, type ProcessIdentity } from '../host/process-identity.ts';
import { MeasureError, TestbedError } from '../errors.ts';

/** The result directory cannot be written to: a full disk, above all. What is there is kept, and can be gone on with. */
export class ResultsError extends TestbedError {
  readonly code = 'ERR_TESTBED_RESULTS';
  // Not completed, as a migration that ends on its source.
  override readonly exitCode = EXIT.sourceRunning;
}

const EXPERIMENT = 'experiment.yaml';
const MACHINE = 'machine.json';
const RECORDS = 'runs.jsonl';
const LOCK = 'runner.lock';
/** Given back when the disk is full, so that the run that hit it can still be told as failed. */
const RESERVE = '.reserve';
const RESERVE_BYTES = 256 * 1024;
/** What must be free before a run begins: its trace, series and logs together take some tens of KiB, rarely hundreds. */
const RUN_BYTES = 1024 * 1024;
const FREE_AND_RESUME = 'free some space and go on with --resume';

/** Where one attempt's files go: on this machine, and from the result directory, as records tell it. */
export interface RunDirectory {
  readonly path: string;
  readonly relative: string;
}

export class ResultsStore<R> {
  readonly directory: string;
  readonly #records: R[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Opens a new or (`resume`) an earlier result directory of this very experiment and locks it. `parse` reads its records' lines.
   * @throws RefusedError when there are results already, of another experiment, or another runner is at work
   */
  static async open<R>(
    directory: string,
    experimentText: string,
    resume: boolean,
    parse: (text: string) => readonly R[],
  ): Promise<ResultsStore<R>> {
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
    makeDirectory(join(directory, 'runs'));
    await lock(join(directory, LOCK));
    const store = new ResultsStore<R>(directory);
    try {
      store.#records.push(...readRecords(directory, parse));
      store.#write(EXPERIMENT, experimentText);
      store.#write(RESERVE, Buffer.alloc(RESERVE_BYTES, 1));
    } catch (error) {
      store.close();
      throw error;
    }
    return store;
  }

  get records(): readonly R[] {
    return this.#records;
  }

  /** A new, empty directory for one attempt's files; what a killed runner left in it goes. @throws ResultsError */
  runDirectory(slug: string, attempt: number): RunDirectory {
    const relative = join('runs', attempt === 0 ? slug : `${slug}~${attempt}`);
    const path = join(this.directory, relative);
    rmSync(path, { recursive: true, force: true });
    const { bavail, bsize } = statfsSync(this.directory);
    if (bavail * bsize < RUN_BYTES) {
      throw new ResultsError(
        `wanted ${formatBytes(RUN_BYTES)} free in ${this.directory} for the next run, got ${formatBytes(bavail * bsize)}`,
        { remedy: FREE_AND_RESUME },
      );
    }
    makeDirectory(path);
    return { path, relative };
  }

  writeMachine(facts: Readonly<Record<string, unknown>>): void {
    this.#write(MACHINE, `${JSON.stringify(facts, null, 2)}\n`);
  }

  /** Appends a record; it is on disk when this returns. @throws ResultsError */
  append(record: R): void {
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
          remedy: FREE_AND_RESUME,
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
    const part = `${path}.part`;
    try {
      // Whole or not at all, whenever this process is killed.
      writeFileSync(part, content);
      renameSync(part, path);
    } catch (error) {
      rmSync(part, { force: true });
      throw new ResultsError(`cannot write ${path}: ${messageOf(error)}`, {
        cause: error,
        remedy: 'free some space, or name another --results directory',
      });
    }
  }
}

/** Writes one of a run's own files. @throws MeasureError that names it */
export function writeRunFile({ path, relative }: RunDirectory, name: string, content: string): void {
  try {
    writeFileSync(join(path, name), content);
  } catch (error) {
    throw new MeasureError(`cannot keep ${join(relative, name)}: ${messageOf(error)}`, { cause: error });
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new ResultsError(`cannot make ${path}: ${messageOf(error)}`, {
      cause: error,
      remedy: 'name another --results directory',
    });
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
function readRecords<R>(directory: string, parse: (text: string) => readonly R[]): readonly R[] {
  const path = join(directory, RECORDS);
  if (!existsSync(path)) return [];
  dropPartialLine(path);
  return parse(readFileSync(path, 'utf8'));
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
