// SPDX-License-Identifier: Apache-2.0
// Appends rows to a trace: MessagePack values one after another, a header first. Each row is one write, so a trace can
// be read up to its last whole row whatever happens to the writer.

import { closeSync, openSync, writeSync } from 'node:fs';
import { encode } from '@msgpack/msgpack';
import { messageOf, SlackwaterError } from '../common/index.ts';
import type { Action, Forecast, Observation, Outcome, PolicyContext, ProfileSample } from '../model/index.ts';
import { COLUMNS, type RowKind, TRACE_FORMAT, TRACE_VERSION, type TraceHeader } from './rows.ts';

export class TraceWriteError extends SlackwaterError {
  readonly code = 'ERR_TRACE_WRITE';
  override readonly exitCode = 3;
}

/** Where rows go; the null recorder drops them. */
export interface Recorder {
  context(atMs: number, context: PolicyContext): void;
  profile(sample: ProfileSample): void;
  observation(observation: Observation): void;
  forecast(forecast: Forecast): void;
  action(atMs: number, action: Action, carriedOut: boolean): void;
  event(
    atMs: number,
    end: string,
    name: string,
    data: Readonly<Record<string, unknown>>,
    qemuMicros: number,
  ): void;
  note(atMs: number, text: string): void;
  outcome(atMs: number, outcome: Outcome): void;
  close(): void;
  /** Set once, when writing failed (a full disk): recording stops, the migration does not. */
  readonly failure: string | null;
}

type Fields<K extends RowKind> = Readonly<Record<(typeof COLUMNS)[K][number], unknown>>;

abstract class RowRecorder implements Recorder {
  abstract readonly failure: string | null;
  protected abstract append(row: readonly unknown[]): void;
  abstract close(): void;

  #row<K extends RowKind>(kind: K, atMs: number, fields: Fields<K>): void {
    const columns: readonly (typeof COLUMNS)[K][number][] = COLUMNS[kind];
    this.append([kind, atMs, ...columns.map((column) => fields[column] ?? null)]);
  }

  context(atMs: number, context: PolicyContext): void {
    this.#row('context', atMs, context);
  }

  profile(sample: ProfileSample): void {
    this.#row('profile', sample.atMs, sample);
  }

  observation(observation: Observation): void {
    this.#row('observation', observation.atMs, observation);
  }

  forecast(forecast: Forecast): void {
    this.#row('forecast', forecast.atMs, {
      ready: forecast.ready,
      bandwidthBytesPerSec: forecast.bandwidthBytesPerSec,
      hotBytes: forecast.curve?.hotBytes,
      tauMs: forecast.curve?.tauMs,
      coldBytesPerMs: forecast.curve?.coldBytesPerMs,
      errorRatio: forecast.errorRatio,
      plateauBytes: forecast.plateau?.dirtyBytes,
      precopyNowDowntimeMs: forecast.precopy[0]?.downtimeMs.expected,
      precopyNowTmtMs: forecast.precopy[0]?.tmtMs.expected,
      postcopyNowTmtMs: forecast.postcopy[0]?.tmtMs.expected,
      precopyNowTmtLowMs: forecast.precopy[0]?.tmtMs.low,
      precopyNowTmtHighMs: forecast.precopy[0]?.tmtMs.high,
      workingSetConverged: forecast.workingSetConverged,
      postcopyNowTmtLowMs: forecast.postcopy[0]?.tmtMs.low,
      postcopyNowTmtHighMs: forecast.postcopy[0]?.tmtMs.high,
    });
  }

  action(atMs: number, action: Action, carriedOut: boolean): void {
    this.#row('action', atMs, {
      kind: action.kind,
      change: action.kind === 'set-parameters' ? action.change : null,
      text: action.reason.text,
      numbers: action.reason.numbers,
      carriedOut,
      options: action.reason.options,
    });
  }

  event(
    atMs: number,
    end: string,
    name: string,
    data: Readonly<Record<string, unknown>>,
    qemuMicros: number,
  ): void {
    // Only the fields of migration events: others may carry device paths or guest data.
    const { status, pass } = data;
    this.#row('event', atMs, { end, name, data: status ?? pass ?? null, qemuMicros });
  }

  note(atMs: number, text: string): void {
    this.#row('note', atMs, { text });
  }

  outcome(atMs: number, outcome: Outcome): void {
    this.#row('outcome', atMs, {
      ...outcome,
      stopToResumeMs: outcome.stopToResume?.ms,
      stopToResumeUncertaintyMs: outcome.stopToResume?.uncertaintyMs,
    });
  }
}

class FileRecorder extends RowRecorder {
  readonly #fd: number;
  #failure: string | null = null;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  get failure(): string | null {
    return this.#failure;
  }

  protected append(row: readonly unknown[]): void {
    if (this.#failure !== null) return;
    try {
      writeSync(this.#fd, encode(row, { ignoreUndefined: true }));
    } catch (error) {
      this.#failure = messageOf(error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class NullRecorder extends RowRecorder {
  readonly failure = null;
  protected append(): void {
    // Nothing is kept.
  }
  close(): void {
    // Nothing was opened.
  }
}

/** Creates a trace; an existing file is not overwritten. @throws TraceWriteError before anything else has happened */
export function createTrace(path: string, header: TraceHeader): Recorder {
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
    writeSync(fd, encode([TRACE_FORMAT, TRACE_VERSION, COLUMNS, header]));
  } catch (error) {
    throw new TraceWriteError(`cannot write the trace ${path}: ${messageOf(error)}`, {
      cause: error,
      remedy: 'name a file that does not exist yet, in a directory you may write to',
    });
  }
  return new FileRecorder(fd);
}

export function nullRecorder(): Recorder {
  return new NullRecorder();
}
