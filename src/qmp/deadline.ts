// SPDX-License-Identifier: Apache-2.0
// Deadlines on an injected clock that leave no timer behind.

import type { Clock } from '../common/index.ts';

// The longest delay a Node timer takes (24.8 days); a longer one would fire at once.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls `onExpired` after `ms`, unless the returned function is called first. Beyond 24.8 days it never does. */
export function startDeadline(clock: Clock, ms: number, onExpired: () => void): () => void {
  if (Number.isNaN(ms) || ms < 0) throw new RangeError(`expected a deadline of at least 0 ms, got ${ms}`);
  if (ms > MAX_TIMER_MS) return () => undefined;
  const controller = new AbortController();
  clock.sleep(ms, controller.signal).then(
    () => {
      if (!controller.signal.aborted) onExpired();
    },
    () => undefined,
  );
  return () => controller.abort();
}
