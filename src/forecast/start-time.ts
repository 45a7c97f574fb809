// SPDX-License-Identifier: Apache-2.0
// When to begin. A guest with a known course is dear to migrate in its busy time: every round has to be sent again until it
// calms down. Waiting costs nothing but the moment at which all is done. docs/forecasts/start-time.md

import type { Dirtying } from './pace.ts';

export interface StartInputs {
  readonly dirtying: Dirtying;
  /** Of the guest's course: nothing new comes after one. */
  readonly periodMs: number;
  readonly memoryBytes: number;
  readonly bandwidthBytesPerMs: number;
  readonly maxDowntimeMs: number;
  readonly downtimeOverheadMs: number;
}

export interface StartChoice {
  /** From now. */
  readonly waitMs: number;
  /** From its beginning to its end. Where it does not end within two periods, that. */
  readonly tmtMs: number;
  readonly bytes: number;
  readonly downtimeMs: number;
  readonly completes: boolean;
}

/** The end may come later than with a start at once by this share, in exchange for a shorter migration. */
const LATER_RATIO = 0.05;
const TRIED_PER_PERIOD = 60;
const MAX_ROUNDS = 500;

/** A pre-copy that begins then: whole rounds until what is dirty fits into the limit. */
export function precopyFrom(waitMs: number, inputs: StartInputs): StartChoice {
  const { dirtying, memoryBytes, bandwidthBytesPerMs, maxDowntimeMs, downtimeOverheadMs, periodMs } = inputs;
  const transferMs = Math.max(1, maxDowntimeMs - downtimeOverheadMs);
  let clockMs = waitMs;
  let dirtyBytes = memoryBytes;
  let bytes = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // QEMU looks again as soon as what is left would fit, and stops the guest if what was dirtied meanwhile fits, too.
    const roundMs = Math.max(1, dirtyBytes / bandwidthBytesPerMs);
    const next = Math.min(memoryBytes, dirtying(clockMs, clockMs + roundMs));
    clockMs += roundMs;
    bytes += dirtyBytes;
    dirtyBytes = next;
    const downtimeMs = dirtyBytes / bandwidthBytesPerMs + downtimeOverheadMs;
    if (dirtyBytes / bandwidthBytesPerMs <= transferMs) {
      return {
        waitMs,
        tmtMs: clockMs - waitMs + downtimeMs,
        bytes: bytes + dirtyBytes,
        downtimeMs,
        completes: true,
      };
    }
    if (clockMs - waitMs > 2 * periodMs + memoryBytes / bandwidthBytesPerMs) break;
  }
  return { waitMs, tmtMs: clockMs - waitMs, bytes, downtimeMs: Infinity, completes: false };
}

/**
 * The start within one period that takes the shortest time, among those that are not over much later than a start at once.
 * Worked example: busy for 10 s (64 MiB at 200 MiB/s), quiet for 5 s, at 117 MB/s a guest of 208 MiB, at the beginning of its
 * busy time: at once it would send 64 MiB again and again for 8 s and end in 10.6 s; begun 8.1 s later it ends then, too.
 */
export function chooseStart(inputs: StartInputs): { readonly now: StartChoice; readonly best: StartChoice } {
  const now = precopyFrom(0, inputs);
  let best = now;
  for (let i = 1; i < TRIED_PER_PERIOD; i++) {
    const choice = precopyFrom((inputs.periodMs * i) / TRIED_PER_PERIOD, inputs);
    if (!choice.completes) continue;
    const inTime = !now.completes || choice.waitMs + choice.tmtMs <= now.tmtMs * (1 + LATER_RATIO);
    if (!inTime) continue;
    const shorter = !best.completes || choice.tmtMs < best.tmtMs * 0.98;
    if (shorter) best = choice;
  }
  return { now, best };
}
