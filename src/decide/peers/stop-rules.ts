// SPDX-License-Identifier: Apache-2.0
// Rules of papers for the moment at which further rounds are useless. None recovered in full: each says what is known and
// what was filled in. W is what is dirty at a boundary, and what the round that begins there sends.
// - itc-lm (NPC 2013, KVM/QEMU): known is the claim, stop once further rounds do not shrink the set. Here: W >= the last W.
//   QEMU's own threshold stays, with the operator's maximum downtime: only useless rounds are cut.
// - ibrahim (SC 2011, KVM): a static downtime limit is infeasible, so the switchover is held; stop when the dirty set's rate
//   of change flattens while bandwidth is at its maximum. Filled in: less than 10 % of change, at least 90 % of the best round.
// - smart-stop-and-copy (CloudNet, VEE 2011, Xen; from memory): once a round leaves as much dirty as it sent, stop at a
//   minimum of the last rounds. Filled in: a window of 5. The ancestor of kubevirt-vep248.
// - dirty-ratio-hybrid (JCC 2023, KVM): post-copy by the ratio of dirtied to sent bytes of a pass. Filled in: a half, beyond
//   which another round takes longer than what it saves of missing pages.
//
// To stop is what the original's hypervisor does: on KVM QEMU's own stop-and-copy, brought about with the largest downtime-limit;
// on Xen the guest is paused and the rest sent.

import { formatBytes } from '../../common/index.ts';
import type { Action } from '../../model/index.ts';
import {
  holdSwitchover,
  pauseGuest,
  setOperatorsDowntime,
  startPostcopy,
  stopAndCopy,
  withoutPostcopy,
} from './actions.ts';
import { dirtyBytes, LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type View } from './fold.ts';
import { markOf, roundBandwidth, type RoundMark, sentSince, startOfMigration } from './round-bandwidth.ts';

const FLAT_RATIO = 0.1;
const FULL_BANDWIDTH_RATIO = 0.9;
const WINDOW_ROUNDS = 5;
const SWITCH_RATIO = 0.5;

interface Memory {
  /** W of the boundaries so far, newest last; no more than the window. */
  readonly dirty: readonly number[];
  readonly mark: RoundMark;
  readonly bestBandwidth: number;
  readonly crossed: boolean;
  readonly done: boolean;
}

const FRESH: Memory = {
  dirty: [],
  mark: startOfMigration,
  bestBandwidth: 0,
  crossed: false,
  done: false,
};

/** The memory after this boundary, whatever the rule says. */
function remember(before: Memory, { seen }: View): Memory {
  const dirty = [...before.dirty, dirtyBytes(seen)].slice(-WINDOW_ROUNDS);
  const bestBandwidth = Math.max(before.bestBandwidth, roundBandwidth(before.mark, seen) ?? 0);
  const sent = before.dirty.at(-1);
  const crossed = before.crossed || (sent !== undefined && dirtyBytes(seen) >= sent);
  return { ...before, dirty, bestBandwidth, crossed, mark: markOf(seen) };
}

/** Decides at a boundary from what was remembered before it; null: go on. */
type StopRule = (before: Memory, now: Memory, view: View) => Action | null;

function ruled(start: Rules<Memory>['begin'], rule: StopRule, postcopy = false): Rules<Memory> {
  return {
    capabilities: postcopy ? LIBVIRT_POSTCOPY : [],
    begin: start,
    onRound: (before, view) => {
      const memory = remember(before, view);
      const action = before.done ? null : rule(before, memory, view);
      return action === null ? { memory } : { memory: { ...memory, done: true }, actions: [action] };
    },
  };
}

const itcLm: StopRule = (before, _, { seen }) => {
  const last = before.dirty.at(-1);
  const bytes = dirtyBytes(seen);
  if (last === undefined || bytes < last) return null;
  const text = `the round did not shrink the dirty set: ${formatBytes(last)}, now ${formatBytes(bytes)}`;
  return stopAndCopy(text, { lastBytes: last, dirtyBytes: bytes });
};

const ibrahim: StopRule = (before, now, { seen }) => {
  const last = before.dirty.at(-1);
  const bytes = dirtyBytes(seen);
  const bandwidth = roundBandwidth(before.mark, seen);
  if (last === undefined || bandwidth === null) return null;
  const isFlat = Math.abs(bytes - last) <= FLAT_RATIO * last;
  if (!isFlat || bandwidth < FULL_BANDWIDTH_RATIO * now.bestBandwidth) return null;
  const text = `the dirty set has flattened at ${formatBytes(bytes)}, at the highest bandwidth seen`;
  return stopAndCopy(text, { lastBytes: last, dirtyBytes: bytes, bandwidthBytesPerSec: bandwidth });
};

const smartStop: StopRule = (before, now, { seen }) => {
  const bytes = dirtyBytes(seen);
  if (!now.crossed || bytes > Math.min(...before.dirty)) return null;
  const text = `${formatBytes(bytes)} is the least of the last ${before.dirty.length + 1} rounds, which do not shrink any more`;
  return pauseGuest(text, { dirtyBytes: bytes });
};

const dirtyRatio: StopRule = (before, _, { seen, context }) => {
  const sentBytes = sentSince(before.mark, seen);
  if (sentBytes === null) return null;
  const ratio = dirtyBytes(seen) / sentBytes;
  if (ratio < SWITCH_RATIO) return null;
  const text = `the round dirtied ${ratio.toFixed(2)} of what it sent`;
  return context.postcopyReady ? startPostcopy(text, { ratio, sentBytes }) : withoutPostcopy();
};

const held: Rules<Memory>['begin'] = () => ({ memory: FRESH, actions: [holdSwitchover()] });
const operators: Rules<Memory>['begin'] = (context) => ({
  memory: FRESH,
  actions: [setOperatorsDowntime(context)],
});

export const stopRulePeers: readonly Peer[] = [
  peer('itc-lm', false, ruled(operators, itcLm)),
  peer('ibrahim', false, ruled(held, ibrahim)),
  peer('smart-stop-and-copy', false, ruled(held, smartStop)),
  peer('dirty-ratio-hybrid', false, ruled(operators, dirtyRatio, true)),
];
