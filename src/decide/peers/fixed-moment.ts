// SPDX-License-Identifier: Apache-2.0
// Policies that do one thing at one moment, a round or a time:
// - hybrid-k: post-copy after k complete rounds of pre-copy (k = 1: Sahni and Varma, 2012).
// - libvirt-postcopy-after-precopy: virsh's option of that name; it waits for the iteration event that says 2, which is
//   hybrid-1 (read in source).
// - libvirt-timeout-suspend, -postcopy: virsh's --timeout N (by its documentation). N is the user's: here 60 s.
// - precopy-to-timeout: pure pre-copy, aborted at a time-out; the lower reference line. Here 300 s, the longest that QEMU's
//   own performance test waits.
// A time scale moves the two times. None has a downtime of its own: the operator's maximum stands, as for qemu-default.
// Where post-copy is not to be had, virsh would refuse the option: pre-copy goes on, and it is said.

import { formatMs } from '../../common/index.ts';
import type { Action } from '../../model/index.ts';
import { cancel, pauseGuest, setOperatorsDowntime, startPostcopy, withoutPostcopy } from './actions.ts';
import { LIBVIRT_POSTCOPY, type Peer, peer, type Rules, type View } from './fold.ts';

const LIBVIRT_TIMEOUT_MS = 60_000;
const GIVE_UP_MS = 300_000;

interface Memory {
  readonly done: boolean;
}

function postcopyOr({ context }: View, text: string, numbers: Record<string, number>): Action {
  return context.postcopyReady ? startPostcopy(text, numbers) : withoutPostcopy();
}

function postcopyAfterRounds(rounds: number): Rules<Memory> {
  return {
    capabilities: LIBVIRT_POSTCOPY,
    begin: (context) => ({ memory: { done: false }, actions: [setOperatorsDowntime(context)] }),
    onRound: (memory, view) => {
      if (memory.done || view.seen.round <= rounds) return { memory };
      const text = `${rounds} round${rounds === 1 ? '' : 's'} of pre-copy done`;
      return { memory: { done: true }, actions: [postcopyOr(view, text, { rounds })] };
    },
  };
}

type AtTime = (view: View, text: string, numbers: Record<string, number>) => Action;

function atTime(atMs: number, mayGoPostcopy: boolean, act: AtTime): Rules<null> {
  return {
    capabilities: mayGoPostcopy ? LIBVIRT_POSTCOPY : [],
    begin: (context) => ({ memory: null, actions: [setOperatorsDowntime(context)], wakeAtMs: atMs }),
    onPoll: (memory, view) => {
      const timeoutMs = atMs * view.timeScale;
      return { memory, actions: [act(view, `not complete after ${formatMs(timeoutMs)}`, { timeoutMs })] };
    },
  };
}

export const fixedMomentPeers: readonly Peer[] = [
  ...[1, 2, 3].map((rounds) => peer(`hybrid-${rounds}`, false, postcopyAfterRounds(rounds))),
  peer('libvirt-postcopy-after-precopy', false, postcopyAfterRounds(1)),
  peer(
    'libvirt-timeout-suspend',
    true,
    atTime(LIBVIRT_TIMEOUT_MS, false, (_, text, numbers) => pauseGuest(text, numbers)),
  ),
  peer('libvirt-timeout-postcopy', true, atTime(LIBVIRT_TIMEOUT_MS, true, postcopyOr)),
  peer(
    'precopy-to-timeout',
    true,
    atTime(GIVE_UP_MS, false, (_, text, numbers) => cancel(text, numbers)),
  ),
];
