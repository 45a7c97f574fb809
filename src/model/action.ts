// SPDX-License-Identifier: Apache-2.0
// What a policy wants done, each with its reason, and the shape of every policy.

import type { Forecast } from './forecast.ts';
import type { ParameterChange, PolicyContext } from './objective.ts';
import type { Observation } from './observation.ts';

/** One of the ways that a decision weighed, with what it was forecast to cost. */
export interface WeighedOption {
  /** Pre-copy or post-copy after so many more rounds. */
  readonly way: 'precopy' | 'postcopy';
  readonly rounds: number;
  readonly tmtMs: number;
  readonly downtimeMs: number;
  readonly bytes: number;
  /** By the operator's weights; what the option costs as a whole. */
  readonly costMs: number;
  /** Whether it keeps the limits: maximum downtime and deadline. */
  readonly fits: boolean;
}

/** Why, in words for the operator and in numbers for the record (units in the names). */
export interface Reason {
  readonly text: string;
  readonly numbers: Readonly<Record<string, number>>;
  /** What was weighed, the cheapest of each way first; absent: nothing was to be chosen. */
  readonly options?: readonly WeighedOption[];
}

export type Action =
  /** Begin later; only among the actions before the migrate command. */
  | { readonly kind: 'wait'; readonly waitMs: number; readonly reason: Reason }
  | { readonly kind: 'set-parameters'; readonly change: ParameterChange; readonly reason: Reason }
  | { readonly kind: 'start-postcopy'; readonly reason: Reason }
  /**
   * Have as little as that bandwidth allows wait in QEMU's sockets, for the rest of the migration; `paced`: and in the network, by
   * sending no faster than TCP has seen it carry, until that is ended.
   */
  | {
      readonly kind: 'shorten-queue';
      readonly bandwidthBytesPerSec: number;
      readonly paced: boolean;
      readonly reason: Reason;
    }
  | { readonly kind: 'end-pacing'; readonly reason: Reason }
  /** Hold QEMU's switchover, or let go of it (patched QEMU). `sampleMs`: look at the pages that often within a round. */
  | { readonly kind: 'hold'; readonly hold: boolean; readonly sampleMs: number; readonly reason: Reason }
  /**
   * Leave the pages of at least that heat out of pre-copy, and so much of the memory beside them, in one stretch; null: none any more
   * (patched QEMU).
   */
  | {
      readonly kind: 'defer';
      readonly leastHeat: number | null;
      readonly coldBytes: number;
      readonly reason: Reason;
    }
  /** Post-copy is to send the pages that the guest touches first before any other, so many of them while it is stopped. */
  | { readonly kind: 'pack'; readonly budgetBytes: number; readonly reason: Reason }
  /** Stop the guest so that pre-copy converges, as some peers do: a blackout of seconds. Never wanted by our own policy. */
  | { readonly kind: 'pause-guest'; readonly reason: Reason }
  /** Break a stalled post-copy off on both ends, out of band, so that it can be recovered. */
  | { readonly kind: 'pause-postcopy'; readonly reason: Reason }
  /** End the migration with the guest on the source. Never taken once post-copy has begun. */
  | { readonly kind: 'cancel'; readonly reason: Reason }
  /** Nothing is done to QEMU: the decision to go on is recorded and shown. */
  | { readonly kind: 'continue'; readonly reason: Reason };

/** What a policy is stepped with: a new observation and its forecast, or the passing of time it asked for. */
export type PolicyInput =
  | {
      readonly kind: 'observation';
      readonly nowMs: number;
      readonly observation: Observation;
      readonly forecast: Forecast;
    }
  | { readonly kind: 'tick'; readonly nowMs: number };

export interface PolicyStep<State> {
  readonly state: State;
  readonly actions: readonly Action[];
  /** When the policy wants a tick, in ms since the start; null: only observations. */
  readonly wakeAtMs: number | null;
}

/** Capabilities that a policy may rest on. Those of post-copy are left out where post-copy is not to be had. */
export type PolicyCapability = 'postcopy-ram' | 'postcopy-preempt' | 'auto-converge' | 'xbzrle';

/**
 * A policy is a fold over observations and ticks, without clock, I/O or randomness of its own: the live controller, a
 * replay and the simulator run the same code. The actions of `init` are carried out before the migrate command.
 */
export interface Policy<State = unknown> {
  readonly name: string;
  /** What it wants enabled on both ends before the migration; absent: post-copy, where the objective allows it. */
  readonly capabilities?: readonly PolicyCapability[];
  /** Whether it uses the pages that a patched QEMU shows, and its levers. */
  readonly wantsPages?: boolean;
  init(context: PolicyContext): PolicyStep<State>;
  step(state: State, input: PolicyInput): PolicyStep<State>;
}
