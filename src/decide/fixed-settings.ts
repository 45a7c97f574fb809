// SPDX-License-Identifier: Apache-2.0
// Fixed settings: a moment and a way of switching, chosen beforehand and kept whatever the guest does. What the oracle of
// an experiment searches: the best of them, known only in hindsight, bounds what any policy could have picked.
// - postcopy-at-N: post-copy when N % of a pass have crossed (100: after the first round, 200: after the second).
// - postcopy-at-N-quiet: with the background push held back at first, as the adaptive policy does (postcopy-entry.ts).
// - pause-at-N: the guest is stopped there, and pre-copy sends the rest.

import type { Observation, Policy, PolicyContext, PolicyInput, PolicyStep } from '../model/index.ts';
import { pauseGuest, setOperatorsDowntime, startPostcopy, withoutPostcopy } from './peers/actions.ts';
import { LIBVIRT_POSTCOPY } from './peers/fold.ts';
import { beginPostcopy, defaultPostcopyEntry, type EntryState, stepPostcopy } from './postcopy-entry.ts';

interface Setting {
  readonly way: 'postcopy' | 'postcopy-quiet' | 'pause';
  /** Passes over the memory before the switch: 0.5 is half of the first, 2 is two rounds. */
  readonly passes: number;
}

type Seen = Extract<PolicyInput, { kind: 'observation' }>;

type Phase =
  | { readonly kind: 'waiting'; readonly dueMs: number | null; readonly seen: Seen | null }
  | { readonly kind: 'postcopy'; readonly entry: EntryState }
  | { readonly kind: 'over' };

interface State {
  readonly context: PolicyContext;
  readonly phase: Phase;
}

// Quiet for a fifth of the push, whatever it costs.
const QUIET = { ...defaultPostcopyEntry, quietTmtRatio: Infinity, quietMinMs: 0 };

const SETTINGS: ReadonlyMap<string, Setting> = new Map([
  ...[0, 0.5, 1, 2].map((passes) => entry('postcopy', passes)),
  ...[0.5, 1].map((passes) => entry('postcopy-quiet', passes)),
  ...[1, 2].map((passes) => entry('pause', passes)),
]);

function entry(way: Setting['way'], passes: number): readonly [string, Setting] {
  const at = `at-${passes * 100}`;
  return [way === 'postcopy-quiet' ? `postcopy-${at}-quiet` : `${way}-${at}`, { way, passes }];
}

/** The moment in ms since the start: the present one where it has come, null while it cannot be told. */
function dueMsOf({ passes }: Setting, nowMs: number, seen: Observation): number | null {
  if (passes >= 1) return seen.round > passes ? nowMs : null;
  if (passes === 0 || seen.round > 1) return nowMs;
  const { remainingBytes, totalBytes, bandwidthBytesPerSec } = seen;
  if (remainingBytes === null || totalBytes === null || bandwidthBytesPerSec === null) return null;
  const bytesToGo = Math.max(0, remainingBytes - (1 - passes) * totalBytes);
  return nowMs + (bytesToGo / bandwidthBytesPerSec) * 1000;
}

function waiting(
  setting: Setting,
  state: State,
  phase: Extract<Phase, { kind: 'waiting' }>,
  input: PolicyInput,
): PolicyStep<State> {
  const isActive = input.kind === 'observation' && input.observation.status === 'active';
  const seen = isActive ? input : phase.seen;
  const dueMs = isActive ? dueMsOf(setting, input.nowMs, input.observation) : phase.dueMs;
  if (seen === null || dueMs === null || input.nowMs < dueMs) {
    return { state: { ...state, phase: { kind: 'waiting', dueMs, seen } }, actions: [], wakeAtMs: dueMs };
  }
  const text = `fixed setting: ${setting.passes} passes done`;
  const numbers = { passes: setting.passes };
  const over = { ...state, phase: { kind: 'over' } } as const;
  if (setting.way === 'pause') return { state: over, actions: [pauseGuest(text, numbers)], wakeAtMs: null };
  const [choice] = seen.forecast.postcopy;
  if (!state.context.postcopyReady) return { state: over, actions: [withoutPostcopy()], wakeAtMs: null };
  // Before the first forecast nothing can be said of how long to be quiet.
  if (choice === undefined || setting.way === 'postcopy') {
    return { state: over, actions: [startPostcopy(text, numbers)], wakeAtMs: null };
  }
  const begun = beginPostcopy(QUIET, state.context, input.nowMs, seen.forecast, choice, { text, numbers });
  return { ...begun, state: { ...state, phase: { kind: 'postcopy', entry: begun.entry } } };
}

function fixedSetting(name: string, setting: Setting): Policy<State> {
  return {
    name,
    capabilities: setting.way === 'pause' ? [] : LIBVIRT_POSTCOPY,
    init: (context) => ({
      state: { context, phase: { kind: 'waiting', dueMs: null, seen: null } },
      actions: [setOperatorsDowntime(context)],
      wakeAtMs: null,
    }),
    step: (state, input) => {
      const { phase } = state;
      if (phase.kind === 'over') return { state, actions: [], wakeAtMs: null };
      if (phase.kind === 'waiting') return waiting(setting, state, phase, input);
      const next = stepPostcopy(QUIET, state.context, phase.entry, input);
      return { ...next, state: { ...state, phase: { kind: 'postcopy', entry: next.entry } } };
    },
  };
}

/** What the oracle searches, QEMU's own way of switching apart. */
export function fixedSettingNames(): string[] {
  return [...SETTINGS.keys()];
}

export function fixedSettingByName(name: string): Policy | undefined {
  const setting = SETTINGS.get(name);
  return setting === undefined ? undefined : fixedSetting(name, setting);
}
