// SPDX-License-Identifier: Apache-2.0
// What all peers have in common: a clock of their own, polls, round boundaries, and an end after which nothing is done.
// A peer is written as `Rules` in the times of the original; this fold turns them into a policy at any time scale, so that
// a peer that waits for minutes can be run on a small guest with everything it waits for shortened alike.
//
// Peers run as shipped: where they bring a downtime of their own, the operator's maximum downtime is not looked at.
// max-bandwidth is left to the operator, as every one of these systems has a setting for it; only peers whose rule is the
// rate itself touch it. What concerns more than one VM, disks or the placement is left out of all of them.

import type {
  Action,
  Forecast,
  Observation,
  Policy,
  PolicyCapability,
  PolicyContext,
  PolicyInput,
  PolicyStep,
} from '../../model/index.ts';

/** libvirt enables preempt with post-copy wherever both sides have it. */
export const LIBVIRT_POSTCOPY: readonly PolicyCapability[] = ['postcopy-ram', 'postcopy-preempt'];

/** What the rules of a peer see. */
export interface View {
  readonly context: PolicyContext;
  /** The newest observation; its status is `active`. */
  readonly seen: Observation;
  readonly forecast: Forecast;
  /** The peer's clock: ms since the migrate command, divided by the time scale. Of a poll: when it was due. */
  readonly nowMs: number;
  readonly timeScale: number;
}

export interface Turn<Memory> {
  readonly memory: Memory;
  readonly actions?: readonly Action[];
  /** On the peer's clock. Absent: the next poll after a poll, unchanged after a round boundary. */
  readonly wakeAtMs?: number | null;
}

export interface Rules<Memory> {
  readonly capabilities: readonly PolicyCapability[];
  /** Between two polls, on the peer's clock; absent: woken only when `wakeAtMs` says so. */
  readonly pollMs?: number;
  readonly begin: (context: PolicyContext) => Turn<Memory>;
  readonly onPoll?: (memory: Memory, view: View) => Turn<Memory>;
  /** Once for each round boundary, from that of the second round on. */
  readonly onRound?: (memory: Memory, view: View) => Turn<Memory>;
}

/** One row of a family's list. */
export interface Peer {
  readonly id: string;
  /** Acts at times of its own: for those only does a time scale mean anything. */
  readonly livesByClock: boolean;
  create(name: string, timeScale: number): Policy;
}

export interface PeerState<Memory> {
  readonly context: PolicyContext;
  readonly memory: Memory;
  readonly seen: Observation | null;
  readonly forecast: Forecast | null;
  /** The round whose boundary was handed to the rules last. */
  readonly round: number;
  /** On the peer's clock. */
  readonly wakeAtMs: number | null;
  /** Post-copy or cancel was requested, or the migration is over. */
  readonly over: boolean;
}

const ENDED = new Set(['completed', 'failed', 'cancelled', 'cancelling']);

/** Steps one peer: the pure fold, with the rules and the scale bound. */
class PeerFold<Memory> {
  readonly #rules: Rules<Memory>;
  readonly #scale: number;

  constructor(rules: Rules<Memory>, timeScale: number) {
    this.#rules = rules;
    this.#scale = timeScale;
  }

  init(context: PolicyContext): PolicyStep<PeerState<Memory>> {
    const { memory, actions, wakeAtMs } = this.#rules.begin(context);
    return this.#result(
      {
        context,
        memory,
        seen: null,
        forecast: null,
        round: 1,
        wakeAtMs: wakeAtMs === undefined ? (this.#rules.pollMs ?? null) : wakeAtMs,
        over: false,
      },
      actions,
    );
  }

  step(state: PeerState<Memory>, input: PolicyInput): PolicyStep<PeerState<Memory>> {
    if (state.over) return this.#result(state);
    return input.kind === 'tick' ? this.#tick(state, input.nowMs) : this.#observe(state, input);
  }

  #observe(
    before: PeerState<Memory>,
    { nowMs, observation, forecast }: Extract<PolicyInput, { kind: 'observation' }>,
  ): PolicyStep<PeerState<Memory>> {
    const { status, kind, round } = observation;
    const over = ENDED.has(status) || status.startsWith('postcopy');
    const isBoundary = status === 'active' && kind === 'round' && round > before.round;
    const state = { ...before, seen: observation, forecast, over, round: isBoundary ? round : before.round };
    if (!isBoundary || this.#rules.onRound === undefined) return this.#result(state);
    const turn = this.#rules.onRound(state.memory, {
      context: state.context,
      seen: observation,
      forecast,
      nowMs: nowMs / this.#scale,
      timeScale: this.#scale,
    });
    return this.#take(state, turn, turn.wakeAtMs === undefined ? state.wakeAtMs : turn.wakeAtMs);
  }

  #tick(state: PeerState<Memory>, realNowMs: number): PolicyStep<PeerState<Memory>> {
    const { wakeAtMs, seen, forecast, context } = state;
    const { onPoll, pollMs } = this.#rules;
    if (wakeAtMs === null || onPoll === undefined || realNowMs < wakeAtMs * this.#scale) {
      return this.#result(state);
    }
    // Nothing to act on yet: due as soon as the migration is active.
    if (seen?.status !== 'active' || forecast === null) return { state, actions: [], wakeAtMs: null };
    // The loop's own lateness must not add up: a poll counts as of when it was due, unless whole polls were missed.
    const lateMs = realNowMs / this.#scale - wakeAtMs;
    const nowMs = pollMs !== undefined && lateMs < pollMs ? wakeAtMs : wakeAtMs + lateMs;
    const turn = onPoll(state.memory, { context, seen, forecast, nowMs, timeScale: this.#scale });
    const nextMs = turn.wakeAtMs !== undefined ? turn.wakeAtMs : pollMs !== undefined ? nowMs + pollMs : null;
    const missed = nextMs !== null && nextMs * this.#scale <= realNowMs;
    return this.#take(state, turn, missed ? nextMs + lateMs : nextMs);
  }

  #take(
    state: PeerState<Memory>,
    { memory, actions = [] }: Turn<Memory>,
    wakeAtMs: number | null,
  ): PolicyStep<PeerState<Memory>> {
    const last = actions.findIndex(({ kind }) => kind === 'cancel' || kind === 'start-postcopy');
    const taken = last === -1 ? actions : actions.slice(0, last + 1);
    return this.#result({ ...state, memory, wakeAtMs, over: last !== -1 }, taken);
  }

  #result(state: PeerState<Memory>, actions: readonly Action[] = []): PolicyStep<PeerState<Memory>> {
    const wakeAtMs = state.over || state.wakeAtMs === null ? null : state.wakeAtMs * this.#scale;
    return { state, actions, wakeAtMs };
  }
}

/** A row of a family's list, from its rules. */
export function peer<Memory>(id: string, livesByClock: boolean, rules: Rules<Memory>): Peer {
  return {
    id,
    livesByClock,
    create(name, timeScale) {
      const fold = new PeerFold(rules, timeScale);
      const policy: Policy<PeerState<Memory>> = {
        name,
        capabilities: rules.capabilities,
        init: (context) => fold.init(context),
        step: (state, input) => fold.step(state, input),
      };
      return policy;
    },
  };
}

/** W: bytes dirty when the present round began, as read at its boundary. */
export function dirtyBytes(observation: Observation): number {
  return observation.dirtyAtRoundStartBytes ?? observation.remainingBytes ?? 0;
}
