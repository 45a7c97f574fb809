// SPDX-License-Identifier: Apache-2.0
// KubeVirt VEP 291, downtime tuning: a linear ramp of the downtime-limit. A part of the legacy path.

import type { Action } from '../../model/index.ts';
import { setDowntime } from './actions.ts';

/** maxDowntimeMs as the code ships it, and as the VEP's text has it. */
export const CODE_CEILING_MS = 900;
export const VEP_CEILING_MS = 1050;

const INITIAL_MS = 150;
const STEPS = 7;
const FROM_ROUND = 3;
const COOLDOWN_MS = 10_000;

export interface Tuning {
  readonly downtimeMs: number;
  readonly tunedAtMs: number;
}

/**
 * The first poll sets 150 ms; from the third round on, at most every 10 s, D = min(D + max(int((max - 150)/7), 1), max).
 * Worked example, max 900: 150, 257, 364, 471, 578, 685, 792, 899, 900 ms: 8 raises, 80 s after round 3 at the earliest.
 */
export function stepTuning(
  tuning: Tuning | null,
  ceilingMs: number,
  round: number,
  nowMs: number,
): { tuning: Tuning | null; action: Action | null } {
  const initialMs = Math.min(INITIAL_MS, ceilingMs);
  if (tuning === null) {
    return {
      tuning: { downtimeMs: initialMs, tunedAtMs: nowMs },
      action: setDowntime(initialMs, 'where the tuning starts', { ceilingMs }),
    };
  }
  if (round < FROM_ROUND || nowMs - tuning.tunedAtMs < COOLDOWN_MS) return { tuning, action: null };
  const raiseMs = Math.max(1, Math.trunc((ceilingMs - initialMs) / STEPS));
  const downtimeMs = Math.min(tuning.downtimeMs + raiseMs, ceilingMs);
  if (downtimeMs <= tuning.downtimeMs) return { tuning, action: null };
  return {
    tuning: { downtimeMs, tunedAtMs: nowMs },
    action: setDowntime(downtimeMs, `raised by at most ${raiseMs} ms in round ${round}`, {
      round,
      ceilingMs,
    }),
  };
}
