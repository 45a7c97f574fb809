// SPDX-License-Identifier: Apache-2.0
// KubeVirt's convergence as shipped (d923fdb of 2026, read in source): a budget of seconds per GB of memory; when it is
// spent the migration is forced or aborted. kubevirt-vep291 adds the downtime tuning of VEP 291 to it (experimental).
//
// `allowPostCopy` is "post-copy is ready here", and workload disruption follows it as by default: where post-copy is not to
// be had the spent budget aborts. kubevirt-legacy-pause is the cluster that allows disruption without post-copy. Left out:
// VFIO devices, disks in the data size, multifd, the seconds to which KubeVirt rounds time. maxDowntimeMs is not applied by
// the legacy path, and neither is the operator's: QEMU's 300 ms stay.

import { formatMs } from '../../common/index.ts';
import type { Action, PolicyCapability } from '../../model/index.ts';
import { cancel, pauseGuest, QEMU_DOWNTIME_LIMIT_MS, setDowntime, startPostcopy } from './actions.ts';
import { LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type View } from './fold.ts';
import { CODE_CEILING_MS, stepTuning, type Tuning, VEP_CEILING_MS } from './kubevirt-tuning.ts';

export const KUBEVIRT_POLL_MS = 400;
const PROGRESS_TIMEOUT_MS = 150_000;

/**
 * completionTimeoutPerGiB x size, where the size counts decimal GB. Worked example: 8 GiB = 8.59 GB x 150 s = 1,288 s.
 * The quantity library would round the size up to whole GB (here 9: 1,350 s); unrounded, small guests keep their proportion.
 */
export function budgetMs(memoryBytes: number, secPerGb: number): number {
  return (memoryBytes / 1e9) * secPerGb * 1000;
}

export const SHIPPED_SEC_PER_GB = 150;
/** What the Hyperconverged Cluster Operator sets since 2026. */
const HCO_SEC_PER_GB = 20;

interface Variant {
  readonly id: string;
  readonly secPerGb: number;
  readonly capabilities: readonly PolicyCapability[];
  /** Workload disruption is allowed although post-copy is not. */
  readonly mayPause: boolean;
  /** The ceiling of VEP 291's tuning; null: no tuning. */
  readonly ceilingMs: number | null;
}

const SHIPPED = {
  secPerGb: SHIPPED_SEC_PER_GB,
  capabilities: LIBVIRT_POSTCOPY,
  mayPause: false,
  ceilingMs: null,
};

const VARIANTS: readonly Variant[] = [
  { ...SHIPPED, id: 'kubevirt-legacy' },
  { ...SHIPPED, id: 'kubevirt-legacy-hco', secPerGb: HCO_SEC_PER_GB },
  { ...SHIPPED, id: 'kubevirt-legacy-pause', capabilities: [], mayPause: true },
  { ...SHIPPED, id: 'kubevirt-vep291', ceilingMs: CODE_CEILING_MS },
  { ...SHIPPED, id: 'kubevirt-vep291-1050', ceilingMs: VEP_CEILING_MS },
];

interface Memory {
  readonly budgetMs: number;
  readonly paused: boolean;
  /** Remaining bytes at the last poll: any decrease counts as progress. */
  readonly watermarkBytes: number | null;
  readonly progressAtMs: number;
  readonly tuning: Tuning | null;
}

function withProgress(memory: Memory, { seen, nowMs }: View): Memory {
  const { remainingBytes } = seen;
  if (remainingBytes === null) return memory;
  const moved = memory.watermarkBytes === null || remainingBytes < memory.watermarkBytes;
  return {
    ...memory,
    watermarkBytes: remainingBytes,
    progressAtMs: moved ? nowMs : memory.progressAtMs,
  };
}

/** The one convergence action of a poll, if any is due. */
function converge(variant: Variant, memory: Memory, view: View): { memory: Memory; action: Action | null } {
  const { nowMs, timeScale, context } = view;
  const spent = nowMs > memory.budgetMs;
  const budget = memory.budgetMs * timeScale;
  const text = `the budget of ${formatMs(budget)} is spent`;
  if (spent && !memory.paused && context.postcopyReady && !variant.mayPause) {
    return { memory, action: startPostcopy(text, { budgetMs: budget }) };
  }
  if (spent && !memory.paused && variant.mayPause) {
    const paused = { ...memory, paused: true, budgetMs: memory.budgetMs * 2 };
    return { memory: paused, action: pauseGuest(`${text}, it is doubled`, { budgetMs: budget }) };
  }
  const stuckMs = nowMs - memory.progressAtMs;
  if (stuckMs > PROGRESS_TIMEOUT_MS) {
    const stuck = stuckMs * timeScale;
    return { memory, action: cancel(`stuck for ${formatMs(stuck)}`, { stuckMs: stuck }) };
  }
  if (spent) return { memory, action: cancel(text, { budgetMs: budget }) };
  return { memory, action: null };
}

function legacyRules(variant: Variant): Rules<Memory> {
  return {
    capabilities: variant.capabilities,
    pollMs: KUBEVIRT_POLL_MS,
    begin: ({ memoryBytes }) => ({
      memory: {
        budgetMs: budgetMs(memoryBytes, variant.secPerGb),
        paused: false,
        watermarkBytes: null,
        progressAtMs: 0,
        tuning: null,
      },
      actions: [setDowntime(QEMU_DOWNTIME_LIMIT_MS, "QEMU's default, which KubeVirt leaves at the start")],
    }),
    onPoll: (before, view) => {
      const actions: Action[] = [];
      let memory = withProgress(before, view);
      if (variant.ceilingMs !== null) {
        const tuned = stepTuning(memory.tuning, variant.ceilingMs, view.seen.round, view.nowMs);
        memory = { ...memory, tuning: tuned.tuning };
        if (tuned.action !== null) actions.push(tuned.action);
      }
      const next = converge(variant, memory, view);
      if (next.action !== null) actions.push(next.action);
      return { memory: next.memory, actions };
    },
  };
}

export const kubevirtLegacyPeers: readonly Peer[] = VARIANTS.map((variant) =>
  peer(variant.id, true, legacyRules(variant)),
);
