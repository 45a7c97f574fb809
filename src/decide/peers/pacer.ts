// SPDX-License-Identifier: Apache-2.0
// pacer-deadline: Pacer (Rice University, 2013; its QEMU fork read in source), the part that sets the rate so that the
// migration ends at the deadline and not before. The deadline is the operator's, so that no time scale touches it; without one
// there is nothing to pace. The operator's maximum downtime stands, as for qemu-default.
//
// Left out: disks and their I/O throttle (late means full rate here), and what Pacer assumes of a guest that dirties faster
// than the link carries (70 % sent again), since the rate is the full one then anyway. What is dirtied within a second is
// read off the forecast's dirtying curve (Pacer samples 1 s in every 5), what was achieved off our own window, which leaves
// out runs over zero pages. The rate is set in steps of 2 MiB/s, as there.

import { formatMs, MIB } from '../../common/index.ts';
import { dirtyBytesWithin } from '../../forecast/index.ts';
import type { Action, Forecast, PolicyContext } from '../../model/index.ts';
import { goOn, setBandwidth, setOperatorsDowntime } from './actions.ts';
import { type Peer, peer, type Rules, type View } from './fold.ts';

const TICK_MS = 5000;
const STEP_BYTES_PER_SEC = 2 * MIB;
/** Where the link's rate is not known: Pacer's own starting value, for 1 Gbit/s. */
const FALLBACK_BYTES_PER_SEC = 80 * MIB;
const EWMA_KEEP = 0.8;
/** Below this share of the rate that was set, the link is the limit and not the setting. */
const LINK_LIMITED = 0.9;

interface Memory {
  readonly maxBytesPerSec: number;
  /** The rate that was set last; null: full rate. */
  readonly setBytesPerSec: number | null;
}

/** What is left to do, in real time. */
interface Task {
  readonly leftMs: number;
  readonly remainingBytes: number;
  readonly memoryBytes: number;
  readonly dirtyBytesPerSec: number;
}

/** Of zero ("unlimited") and unknown nothing can be said. */
function operatorsRate({ parameters }: PolicyContext): number | null {
  const rate = parameters.maxBandwidthBytesPerSec;
  return rate === null || rate === 0 ? null : rate;
}

/**
 * speed = dirty/(T_left - t3) + dirty_rate, with t3 = RAM/(B_max - dirty_rate) kept for the last pass at full rate.
 * Worked example: 512 MiB of RAM, all of it left, 20 MiB/s dirtied, B_max 112 MiB/s, 20 s left: t3 = 5.57 s, speed =
 * 512/14.43 + 20 = 55.5 MiB/s, set as 56. Null: full rate.
 */
function paceBytesPerSec(task: Task, maxBytesPerSec: number): number | null {
  const { dirtyBytesPerSec, memoryBytes } = task;
  if (dirtyBytesPerSec >= maxBytesPerSec) return null;
  const lastPassSec = memoryBytes / (maxBytesPerSec - dirtyBytesPerSec);
  const slackSec = task.leftMs / 1000 - lastPassSec;
  if (slackSec <= 0) return null;
  return task.remainingBytes / slackSec + dirtyBytesPerSec;
}

function inSteps(speed: number | null, maxBytesPerSec: number): number | null {
  if (speed === null) return null;
  const stepped = Math.max(1, Math.ceil(speed / STEP_BYTES_PER_SEC)) * STEP_BYTES_PER_SEC;
  return stepped < maxBytesPerSec ? stepped : null;
}

function dirtiedPerSec({ curve }: Forecast): number {
  return curve === null ? 0 : dirtyBytesWithin(curve, 1000);
}

function setPace(context: PolicyContext, pace: number | null, task: Task): Action {
  const { leftMs, remainingBytes, dirtyBytesPerSec } = task;
  const numbers = { leftMs, remainingBytes, dirtyBytesPerSec };
  if (pace === null) {
    const fullRate = context.parameters.maxBandwidthBytesPerSec ?? 0;
    return setBandwidth(fullRate, `full rate, ${formatMs(Math.max(0, leftMs))} left`, numbers);
  }
  return setBandwidth(pace, `paced to end in ${formatMs(leftMs)}`, numbers);
}

/** What the present speed says about B_max, and how far it falls short of the rate that was set. */
function measure(memory: Memory, { seen, context }: View): { maxBytesPerSec: number; shortfall: number } {
  const { maxBytesPerSec, setBytesPerSec } = memory;
  const achieved = seen.bandwidthBytesPerSec;
  if (achieved === null) return { maxBytesPerSec, shortfall: 0 };
  const wanted = setBytesPerSec ?? operatorsRate(context) ?? maxBytesPerSec;
  const tells = achieved > maxBytesPerSec || achieved < LINK_LIMITED * wanted;
  return {
    maxBytesPerSec: tells ? EWMA_KEEP * maxBytesPerSec + (1 - EWMA_KEEP) * achieved : maxBytesPerSec,
    shortfall: setBytesPerSec === null ? 0 : Math.max(0, setBytesPerSec - achieved),
  };
}

const pacerRules: Rules<Memory> = {
  capabilities: [],
  pollMs: TICK_MS,
  begin: (context) => {
    const maxBytesPerSec = operatorsRate(context) ?? FALLBACK_BYTES_PER_SEC;
    const memory: Memory = { maxBytesPerSec, setBytesPerSec: null };
    const { deadlineMs } = context.objective;
    const downtime = setOperatorsDowntime(context);
    if (deadlineMs === null) {
      return { memory, actions: [downtime, goOn('no deadline was set: full rate')], wakeAtMs: null };
    }
    const { memoryBytes } = context;
    const task = { leftMs: deadlineMs, remainingBytes: memoryBytes, memoryBytes, dirtyBytesPerSec: 0 };
    const pace = inSteps(paceBytesPerSec(task, maxBytesPerSec), maxBytesPerSec);
    return {
      memory: { ...memory, setBytesPerSec: pace },
      actions: pace === null ? [downtime] : [downtime, setPace(context, pace, task)],
    };
  },
  onPoll: (memory, view) => {
    const { seen, context, nowMs, timeScale } = view;
    const { deadlineMs } = context.objective;
    if (deadlineMs === null || seen.remainingBytes === null) return { memory };
    const { maxBytesPerSec, shortfall } = measure(memory, view);
    const task: Task = {
      leftMs: deadlineMs - nowMs * timeScale,
      remainingBytes: seen.remainingBytes,
      memoryBytes: context.memoryBytes,
      dirtyBytesPerSec: dirtiedPerSec(view.forecast),
    };
    const speed = paceBytesPerSec(task, maxBytesPerSec);
    const pace = inSteps(speed === null ? null : speed + shortfall, maxBytesPerSec);
    const next: Memory = { maxBytesPerSec, setBytesPerSec: pace };
    if (pace === memory.setBytesPerSec) return { memory: next };
    return { memory: next, actions: [setPace(context, pace, task)] };
  },
};

export const pacerPeers: readonly Peer[] = [peer('pacer-deadline', true, pacerRules)];
