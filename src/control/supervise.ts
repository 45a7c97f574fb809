// SPDX-License-Identifier: Apache-2.0
// One migration under control: listens to both ends, takes the user's interrupt, runs the loop, and keeps listening until
// the caller has concluded how it ended. What `migrate` and `attach` have in common.

import type { Endpoint } from './endpoint.ts';
import { ControlLoop, type LoopDeps, type LoopResult } from './loop.ts';
import { Mailbox } from './mailbox.ts';
import { type EventLog, watchEnd, type WatchMessage } from './watch.ts';

export interface Supervision extends Omit<
  LoopDeps,
  'source' | 'destination' | 'mailbox' | 'initial' | 'hasResumed'
> {
  readonly source: Endpoint;
  /** Null when nobody named its monitor. */
  readonly destination: Endpoint | null;
  /** Starts the migration, where that is ours to do: after the policy's first actions. */
  readonly begin: () => Promise<void>;
}

/** A run whose loop is over; its event log still grows. */
export interface SupervisedRun {
  readonly result: LoopResult;
  readonly log: EventLog;
  /** Zero of the run's times, on the clock. */
  readonly startMs: number;
  /** The same on the wall clock. */
  readonly startedAtMs: number;
}

export async function supervise<T>(
  supervision: Supervision,
  conclude: (run: SupervisedRun) => Promise<T>,
): Promise<T> {
  const { source, destination, clock, recorder, signal } = supervision;
  const mailbox = new Mailbox<WatchMessage>(clock);
  const log: EventLog = { stop: null, resume: null, completed: null, usedPostcopy: false };
  const loop = new ControlLoop({
    ...supervision,
    source: source.client,
    destination: destination?.client ?? null,
    mailbox,
    initial: supervision.options.policy.init(supervision.context),
    hasResumed: () => (destination === null ? null : log.resume !== null),
  });
  const watching = new AbortController();
  for (const endpoint of destination === null ? [source] : [source, destination]) {
    watchEnd(endpoint.end, endpoint.client, log, mailbox, recorder, () => loop.startMs, watching.signal);
  }
  supervision.pages?.listen(() => mailbox.push({ kind: 'pages' }));
  const { bandwidthLimit } = supervision.options;
  bandwidthLimit?.onChange(() => mailbox.push({ kind: 'limit' }));
  const interrupt = (): void => mailbox.push({ kind: 'interrupt' });
  signal?.addEventListener('abort', interrupt);
  if (signal?.aborted === true) interrupt();
  try {
    const ended = await loop.run(supervision.begin);
    const result = { ...ended, usedPostcopy: ended.usedPostcopy || log.usedPostcopy };
    return await conclude({ result, log, startMs: loop.startMs, startedAtMs: loop.startedAtMs });
  } finally {
    watching.abort();
    bandwidthLimit?.onChange(null);
    signal?.removeEventListener('abort', interrupt);
  }
}
