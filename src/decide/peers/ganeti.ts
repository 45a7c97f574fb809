// SPDX-License-Identifier: Apache-2.0
// Ganeti's KVM hypervisor (its 2026 progressive downtime, known from its tests and excerpts): once twice the memory has been
// sent, the downtime grows by a tenth every 30 s. As shipped the growth and the cancelling are off (limits of 0):
// - ganeti: the growth switched on, up to 1000 ms.
// - ganeti-cancel: also cancels when more than four times the memory has been sent.
// - ganeti-postcopy: the post-copy capability is set, so post-copy after the first round, and no growth; where post-copy is
//   not to be had the capability is not there either, and it is the first of the three.
// The poll of 1 s is from memory. The operator's maximum downtime is not looked at.

import { formatMs } from '../../common/index.ts';
import type { PolicyCapability } from '../../model/index.ts';
import { cancel, setDowntime, startPostcopy } from './actions.ts';
import { type Peer, peer, type Rules } from './fold.ts';

const POLL_MS = 1000;
const INITIAL_MS = 30;
const CEILING_MS = 1000;
const GROWS_FROM_RATIO = 2;
const GROWS_EVERY_MS = 30_000;
const POSTCOPY_FROM_ROUND = 2;

interface Variant {
  readonly id: string;
  readonly capabilities: readonly PolicyCapability[];
  readonly cancelAboveRatio: number;
}

const VARIANTS: readonly Variant[] = [
  { id: 'ganeti', capabilities: [], cancelAboveRatio: Infinity },
  { id: 'ganeti-cancel', capabilities: [], cancelAboveRatio: 4 },
  { id: 'ganeti-postcopy', capabilities: ['postcopy-ram'], cancelAboveRatio: Infinity },
];

interface Memory {
  readonly downtimeMs: number;
  readonly grownAtMs: number;
}

/** max(D + 1, int(1.1 D)), at most the ceiling. Worked example: 30, 33, 36, 39, 42, 46, ... 884, 972, 1000 ms. */
function grown(downtimeMs: number): number {
  return Math.min(CEILING_MS, Math.max(downtimeMs + 1, Math.trunc(1.1 * downtimeMs)));
}

function ganetiRules({ capabilities, cancelAboveRatio }: Variant): Rules<Memory> {
  const wantsPostcopy = capabilities.includes('postcopy-ram');
  return {
    capabilities,
    pollMs: POLL_MS,
    begin: () => ({
      memory: { downtimeMs: INITIAL_MS, grownAtMs: -Infinity },
      actions: [setDowntime(INITIAL_MS, 'where the growth starts')],
    }),
    onPoll: (memory, { context, seen, nowMs }) => {
      const { transferredBytes, totalBytes, round } = seen;
      if (wantsPostcopy && context.postcopyReady) {
        if (round < POSTCOPY_FROM_ROUND) return { memory };
        return { memory, actions: [startPostcopy(`round ${round} has begun`, { round })] };
      }
      if (transferredBytes === null || totalBytes === null || totalBytes === 0) return { memory };
      const ratio = transferredBytes / totalBytes;
      const sent = `${ratio.toFixed(2)} times the memory has been sent`;
      if (ratio > cancelAboveRatio) return { memory, actions: [cancel(sent, { ratio, cancelAboveRatio })] };
      const downtimeMs = grown(memory.downtimeMs);
      const due = ratio >= GROWS_FROM_RATIO && nowMs - memory.grownAtMs >= GROWS_EVERY_MS;
      if (!due || downtimeMs === memory.downtimeMs) return { memory };
      const why = `${sent}, a tenth more than ${formatMs(memory.downtimeMs)}`;
      return { memory: { downtimeMs, grownAtMs: nowMs }, actions: [setDowntime(downtimeMs, why, { ratio })] };
    },
  };
}

export const ganetiPeers: readonly Peer[] = VARIANTS.map((variant) =>
  peer(variant.id, true, ganetiRules(variant)),
);
