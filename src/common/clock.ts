// SPDX-License-Identifier: Apache-2.0
// Time as something passed in, so that the controller can be run on a clock of the test's own.

import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds of a monotonic clock, with fractions. Only differences mean anything. */
  nowMs(): number;
  /** Milliseconds since 1970, for records that people read. Never used for differences. */
  wallMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error;
    }
  },
};
