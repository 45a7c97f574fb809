// SPDX-License-Identifier: Apache-2.0
// One queue for everything that can wake the control loop, so that it stays one loop.

import type { Clock } from '../common/index.ts';

export class Mailbox<Message> {
  readonly #clock: Clock;
  readonly #messages: Message[] = [];
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(message: Message): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  /** The next message, or null once the clock has reached `untilMs`. */
  async next(untilMs: number): Promise<Message | null> {
    const first = this.#messages.shift();
    if (first !== undefined) return first;
    const waitMs = untilMs - this.#clock.nowMs();
    if (waitMs <= 0) return null;
    const sleep = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const slept = this.#clock.sleep(waitMs, sleep.signal).catch(() => undefined);
    await Promise.race([woken, slept]);
    this.#wake = null;
    sleep.abort();
    return this.#messages.shift() ?? null;
  }
}
