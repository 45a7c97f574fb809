// SPDX-License-Identifier: Apache-2.0
// A clock that moves only when a test says so.

import type { Clock } from '../../../src/common/index.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1000;
  readonly #sleepers = new Set<Sleeper>();

  /** Sleeps that have neither ended nor been aborted: timers that would be left behind. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const sleeper = { dueMs: this.#nowMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener(
        'abort',
        () => {
          this.#sleepers.delete(sleeper);
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort's reason may be anything
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }

  /** Moves time on and wakes who is due, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#sleepers].filter((sleeper) => sleeper.dueMs <= this.#nowMs);
    for (const sleeper of due.sort((a, b) => a.dueMs - b.dueMs)) {
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
