// SPDX-License-Identifier: Apache-2.0
// KubeVirt VEP 248 (alpha in v1.9, gate MigrationStallDetection; read in source): decides at the boundary of a round, once
// the stall detector says that rounds have stopped shrinking and this one is a local minimum. The one peer in production
// that looks at the dirty set at all; its ancestor is CloudNet's smart stop-and-copy.
//
// `allowPostCopy` is "post-copy is ready here" and workload disruption follows it, as by default; kubevirt-vep248-hard is
// the cluster that allows disruption without post-copy. maxDowntimeMs is KubeVirt's 900, not the operator's. Left out: VFIO
// devices, the paused state that libvirt reports (a switchover under way is seen by the migration's status), and times are
// not rounded to seconds. A poll comes 400 ms after the last look, boundaries included: as in the original, rounds shorter
// than that leave no poll, no bandwidth, and so no decision.

import { formatBytes, formatMs } from '../../common/index.ts';
import type { Action, PolicyCapability } from '../../model/index.ts';
import { cancel, goOn, QEMU_DOWNTIME_LIMIT_MS, setDowntime, startPostcopy, stopAndCopy } from './actions.ts';
import { LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type Turn, type View } from './fold.ts';
import { budgetMs, KUBEVIRT_POLL_MS, SHIPPED_SEC_PER_GB } from './kubevirt-legacy.ts';
import { freshDetector, isGoodMoment, type StallDetector, stepDetector } from './kubevirt-stall.ts';
import { CODE_CEILING_MS as MAX_DOWNTIME_MS } from './kubevirt-tuning.ts';

/** A downtime up to this many times the maximum is tried before the migration is given up. */
const STILL_POSSIBLE = 1.5;
const EWMA_WEIGHT = 0.4;
const SWITCHOVER_TIMEOUT_MS = 60_000;
const GUARD_FACTOR = 2;

interface Memory {
  readonly detector: StallDetector;
  readonly bandwidthBytesPerSec: number | null;
  /** R at the last boundary. */
  readonly remainingBytes: number;
  readonly budgetMs: number;
  /** When the switchover must have happened. */
  readonly switchDeadlineMs: number;
  readonly switched: boolean;
}

/** R/B. Worked example: 117 MB at 117 MB/s are 1000 ms, beyond 900 but within 1.5 x 900. Real ms. */
function estimateMs({ remainingBytes, bandwidthBytesPerSec }: Memory): number {
  return bandwidthBytesPerSec === null ? 0 : Math.floor((remainingBytes / bandwidthBytesPerSec) * 1000);
}

/** Guards against deciding on the bandwidth of a network that has just dropped. */
function canFinish(memory: Memory, { nowMs, timeScale }: View): boolean {
  return estimateMs(memory) / timeScale <= GUARD_FACTOR * memory.budgetMs - nowMs;
}

type Disruption = 'none' | 'postcopy' | 'hard';

function disruptionOf(mayStop: boolean, { context }: View): Disruption {
  if (mayStop) return 'hard';
  return context.postcopyReady ? 'postcopy' : 'none';
}

function switching(memory: Memory, view: View, action: Action): Turn<Memory> {
  const switchDeadlineMs = view.nowMs + SWITCHOVER_TIMEOUT_MS;
  return { memory: { ...memory, switched: true, switchDeadlineMs }, actions: [action] };
}

/** The action of a stalled migration at a good moment. */
function decide(memory: Memory, view: View, disruption: Disruption): Turn<Memory> {
  const estimate = estimateMs(memory);
  const left = `${formatBytes(memory.remainingBytes)} left, ${formatMs(estimate)} to send`;
  const numbers = { remainingBytes: memory.remainingBytes, estimateMs: estimate };
  const text = `stalled, a local minimum with ${left}`;
  if (!canFinish(memory, view)) {
    return { memory, actions: [goOn(`${text}: longer than twice the budget leaves`, numbers)] };
  }
  if (disruption === 'postcopy') return { memory, actions: [startPostcopy(text, numbers)] };
  if (disruption === 'hard') return switching(memory, view, stopAndCopy(text, numbers));
  if (estimate <= MAX_DOWNTIME_MS * STILL_POSSIBLE) {
    return switching(memory, view, setDowntime(MAX_DOWNTIME_MS, text, numbers));
  }
  const limit = formatMs(MAX_DOWNTIME_MS * STILL_POSSIBLE);
  return { memory, actions: [cancel(`${text}, more than ${limit}`, numbers)] };
}

/** The budget, or the time that a switchover may take, is over. */
function timeOut(memory: Memory, view: View, disruption: Disruption): Turn<Memory> {
  const { nowMs, timeScale } = view;
  if (nowMs <= memory.switchDeadlineMs) return { memory };
  const deadlineMs = memory.switchDeadlineMs * timeScale;
  const numbers = { deadlineMs };
  const text = `${formatMs(deadlineMs)} have passed`;
  if (memory.switched) return { memory, actions: [cancel(`${text} without a switchover`, numbers)] };
  if (memory.bandwidthBytesPerSec === null) {
    return { memory, actions: [cancel(`${text} and no bandwidth was ever measured`, numbers)] };
  }
  if (disruption === 'none' || !canFinish(memory, view)) {
    return { memory, actions: [cancel(`${text}, the budget is spent`, numbers)] };
  }
  if (disruption === 'postcopy') return { memory, actions: [startPostcopy(text, numbers)] };
  const doubled = { ...memory, budgetMs: memory.budgetMs * GUARD_FACTOR };
  return switching(doubled, view, stopAndCopy(text, numbers));
}

function withSample(memory: Memory, sample: number | null): Memory {
  if (sample === null || sample === 0) return memory;
  const before = memory.bandwidthBytesPerSec;
  const bandwidthBytesPerSec = before === null ? sample : EWMA_WEIGHT * sample + (1 - EWMA_WEIGHT) * before;
  return { ...memory, bandwidthBytesPerSec };
}

function atBoundary(before: Memory, view: View, disruption: Disruption): Turn<Memory> {
  const { remainingBytes } = view.seen;
  if (remainingBytes === null) return { memory: before };
  const memory = { ...before, remainingBytes };
  if (memory.bandwidthBytesPerSec === null || memory.switched) return { memory };
  const detector = stepDetector(memory.detector, remainingBytes, view.nowMs);
  const stepped = { ...memory, detector };
  if (detector.stall === null || !isGoodMoment(detector.stall, remainingBytes)) return { memory: stepped };
  return decide(stepped, view, disruption);
}

function vep248Rules(capabilities: readonly PolicyCapability[], mayStop: boolean): Rules<Memory> {
  return {
    capabilities,
    pollMs: KUBEVIRT_POLL_MS,
    begin: ({ memoryBytes }) => {
      const budget = budgetMs(memoryBytes, SHIPPED_SEC_PER_GB);
      return {
        memory: {
          detector: freshDetector,
          bandwidthBytesPerSec: null,
          remainingBytes: 0,
          budgetMs: budget,
          switchDeadlineMs: budget,
          switched: false,
        },
        actions: [setDowntime(Math.min(MAX_DOWNTIME_MS, QEMU_DOWNTIME_LIMIT_MS), 'until a stall is found')],
      };
    },
    onPoll: (before, view) => {
      const memory = withSample(before, view.seen.lastWindowBytesPerSec);
      return timeOut(memory, view, disruptionOf(mayStop, view));
    },
    onRound: (before, view) => {
      const disruption = disruptionOf(mayStop, view);
      const decided = atBoundary(before, view, disruption);
      const late = timeOut(decided.memory, view, disruption);
      return {
        memory: late.memory,
        actions: [...(decided.actions ?? []), ...(late.actions ?? [])],
        wakeAtMs: view.nowMs + KUBEVIRT_POLL_MS,
      };
    },
  };
}

export const kubevirtVep248Peers: readonly Peer[] = [
  peer('kubevirt-vep248', true, vep248Rules(LIBVIRT_POSTCOPY, false)),
  peer('kubevirt-vep248-hard', true, vep248Rules([], true)),
];
