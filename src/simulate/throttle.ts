// SPDX-License-Identifier: Apache-2.0
// Auto-converge, as QEMU does it: a guest that dirties more than a share of what is sent, twice in a row, gets less of its
// CPUs, and less again (migration/ram.c, migration_trigger_throttle, read in source: looked at once a second at most).

import type { Policy } from '../model/index.ts';
import type { MigrationState } from './state.ts';

const PERIOD_MS = 1000;
const HIGH_ROUNDS = 2;

/** At a sync that found so many bytes dirtied since the last one. */
export function stepThrottle(state: MigrationState, { capabilities }: Policy, dirtiedBytes: number): void {
  if (capabilities?.includes('auto-converge') !== true) return;
  const { throttle, parameters } = state;
  throttle.dirtiedBytes += dirtiedBytes;
  if (state.nowMs - throttle.checkedAtMs < PERIOD_MS) return;
  const sentBytes = state.transferredBytes - throttle.transferredBytes;
  const isHigh = throttle.dirtiedBytes > (sentBytes * (parameters.throttleTriggerPercent ?? 50)) / 100;
  throttle.highRounds = isHigh ? throttle.highRounds + 1 : 0;
  if (throttle.highRounds >= HIGH_ROUNDS) {
    throttle.highRounds = 0;
    const next =
      throttle.percent === 0
        ? (parameters.throttleInitialPercent ?? 20)
        : throttle.percent + (parameters.throttleIncrementPercent ?? 10);
    throttle.percent = Math.min(parameters.throttleMaxPercent ?? 99, next);
  }
  throttle.checkedAtMs = state.nowMs;
  throttle.transferredBytes = state.transferredBytes;
  throttle.dirtiedBytes = 0;
}
