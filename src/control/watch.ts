// SPDX-License-Identifier: Apache-2.0
// Listens to both ends' events: wakes the loop, records them, and keeps the times of STOP and RESUME.

import type { End } from '../act/index.ts';
import type { Action, StopToResume } from '../model/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { Recorder } from '../record/index.ts';
import type { Mailbox } from './mailbox.ts';

/** What wakes the loop. */
export type WatchMessage =
  | { readonly kind: 'pass'; readonly pass: number; readonly receivedMs: number }
  /** A patched QEMU has shown the pages of a sync. */
  | { readonly kind: 'pages' }
  /** Something changed at either end: look. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'interrupt' }
  /** The migration may have more or less of the link from now on. */
  | { readonly kind: 'limit' }
  | { readonly kind: 'source-gone' }
  | { readonly kind: 'destination-gone' }
  | { readonly kind: 'confirmed'; readonly action: Action };

interface Moment {
  /** QEMU's wall clock. */
  readonly qemuUs: number;
  /** Our monotonic clock. */
  readonly receivedMs: number;
}

export interface EventLog {
  /** The source guest's last STOP. */
  stop: Moment | null;
  /** The destination guest's RESUME. */
  resume: Moment | null;
  /** The migration's status changing to completed, as the source told. */
  completed: Moment | null;
  /** Either end has said that post-copy began: a source that dies right after it is not asked any more. */
  usedPostcopy: boolean;
}

const EVENTS = ['MIGRATION', 'MIGRATION_PASS', 'STOP', 'RESUME', 'SHUTDOWN'] as const;

/** Pumps one end's events until its connection ends or `signal` is aborted. */
export function watchEnd(
  end: End,
  client: QmpClient,
  log: EventLog,
  mailbox: Mailbox<WatchMessage>,
  recorder: Recorder,
  startMs: () => number,
  signal: AbortSignal,
): void {
  const stream = client.events(EVENTS, { signal });
  const pump = async (): Promise<void> => {
    for await (const event of stream) {
      const moment = { qemuUs: event.timestampUs, receivedMs: event.receivedMs };
      recorder.event(event.receivedMs - startMs(), end, event.name, { ...event.data }, event.timestampUs);
      switch (event.name) {
        case 'MIGRATION_PASS':
          if (end === 'source') {
            mailbox.push({ kind: 'pass', pass: event.data.pass, receivedMs: event.receivedMs });
          }
          continue;
        case 'STOP':
          if (end === 'source') log.stop = moment;
          break;
        case 'RESUME':
          // A source that resumes has taken its guest back.
          if (end === 'destination') log.resume = moment;
          else log.stop = null;
          break;
        case 'MIGRATION':
          if (end === 'source' && event.data.status === 'completed') log.completed = moment;
          if (event.data.status === 'postcopy-active') log.usedPostcopy = true;
          break;
        case 'SHUTDOWN':
          break;
      }
      mailbox.push({ kind: 'changed' });
    }
  };
  const gone = (): void => {
    if (!signal.aborted) mailbox.push({ kind: end === 'source' ? 'source-gone' : 'destination-gone' });
  };
  pump().then(gone, gone);
}

/**
 * STOP to RESUME. On one host both carry the same wall clock and the difference is exact; across hosts the receive
 * times at this controller are used, each late by at most one round trip.
 */
export function stopToResume(log: EventLog, sameClock: boolean, roundTripMs: number): StopToResume | null {
  if (log.stop === null || log.resume === null) return null;
  if (sameClock) return { ms: (log.resume.qemuUs - log.stop.qemuUs) / 1000, uncertaintyMs: 0 };
  return { ms: log.resume.receivedMs - log.stop.receivedMs, uncertaintyMs: roundTripMs };
}
