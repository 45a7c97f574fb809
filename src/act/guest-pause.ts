// SPDX-License-Identifier: Apache-2.0
// Pausing a guest so that its pre-copy converges, as some peers do, and taking the pause back. In the journal like any
// setting, because a guest that nobody resumes is as bad as a lost one.

import type { QmpClient } from '../qmp/index.ts';
import type { Journal, JournalEntry } from './journal.ts';

const QMP_TIMEOUT_MS = 5000;
/** Where the source is about to hand its guest over, or has: whether it may run is for both ends to say. */
const HANDED_OVER = new Set(['device', 'completed']);

function isPause(entry: JournalEntry): boolean {
  return entry.type === 'guest';
}

/** Stops the guest on the source. It goes on where the migration ends, or here when it is undone. */
export async function pauseGuest(source: QmpClient, journal: Journal): Promise<void> {
  const { status } = await source.execute('query-status', undefined, { timeoutMs: QMP_TIMEOUT_MS });
  if (status !== 'running') return;
  journal.append({ type: 'guest', end: 'source', name: 'run state', before: 'running', written: 'paused' });
  await source.execute('stop', undefined, { timeoutMs: QMP_TIMEOUT_MS });
}

export function hasPausedGuest(journal: Journal): boolean {
  return journal.content.entries.some(isPause);
}

/** The guest runs again, or runs elsewhere: the pause is nobody's business any more. */
export function forgetPause(journal: Journal): void {
  if (hasPausedGuest(journal)) journal.forget(isPause);
}

/**
 * Resumes a guest that we paused, unless the source is handing it over: then `pending`, and both ends must be asked.
 */
export async function resumeGuest(
  source: QmpClient,
  journal: Journal,
  timeoutMs: number,
): Promise<'nothing' | 'resumed' | 'pending'> {
  if (!hasPausedGuest(journal)) return 'nothing';
  const [run, migration] = await Promise.all([
    source.execute('query-status', undefined, { timeoutMs }),
    source.execute('query-migrate', undefined, { timeoutMs }),
  ]);
  if (run.running) {
    forgetPause(journal);
    return 'nothing';
  }
  if (run.status !== 'paused' || HANDED_OVER.has(migration.status ?? 'none')) return 'pending';
  await source.execute('cont', undefined, { timeoutMs });
  forgetPause(journal);
  return 'resumed';
}
