// SPDX-License-Identifier: Apache-2.0
// A model of QEMU's migration, stepped by the very policies that the controller runs: rounds that end as soon as what is left
// would fit into the downtime limit, the sync of the dirty bitmap, stop-and-copy at link rate, post-copy; hold, deferral and
// packing of the patched QEMU; auto-converge. Deterministic. docs/simulator.md says what it leaves out.

import { foldObservation, forecastOf, type ForecastState, initForecast } from '../forecast/index.ts';
import type { Action, DirtySample, Observation, PageSummary, PolicyStep } from '../model/index.ts';
import { type ModelCosts, REFERENCE_COSTS } from './costs.ts';
import { observationOf, pagesOf, SimulatedSampler } from './observe.ts';
import type { SimulatedAction, SimulatedRun, SimulationOptions } from './simulation.ts';
import { endOfPostcopy, type PostcopyEnd } from './postcopy.ts';
import {
  advance,
  initialState,
  type MigrationState,
  passBytesPerMs,
  syncBitmap,
  wireBytesPerMs,
} from './state.ts';
import { stepThrottle } from './throttle.ts';

const SAMPLE_MS = 250;
const DEFAULT_CAP_MS = 3_600_000;
/** QEMU sends for so long before it looks at what is left (MAX_WAIT in migration/ram.c). */
const ITERATION_MS = 50;
/** In windows of that length QEMU keeps to its rate limit. */
const RATE_WINDOW_MS = 100;
/** A held migration syncs that often where there is nothing to send. */
const IDLE_SYNC_MS = 10;
/** Ticks that ask for themselves again and again would never end. */
const LEAST_TICK_MS = 0.01;
const MIB = 1024 * 1024;
/** A round is never over with more than so little left, whatever the limit says. */
const LEAST_THRESHOLD_BYTES = 4096;

const NO_BOUNDARY = { endedRoundMs: null, dirtyAtRoundStartBytes: null, unsentBytes: null };

class Simulation {
  readonly #options: SimulationOptions;
  readonly #costs: ModelCosts;
  readonly #state: MigrationState;
  readonly #sampler: SimulatedSampler | null;
  readonly #actions: SimulatedAction[] = [];
  readonly #showsPages: boolean;
  #policyState: unknown;
  #wakeAtMs: number | null;
  #forecasting: ForecastState;
  #nextSampleMs: number;
  #nextPagesMs = Infinity;
  #waitedMs = 0;
  #cancelled: string | null = null;
  #switches = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#costs = options.costs ?? REFERENCE_COSTS;
    const { guest, context, policy, from } = options;
    this.#showsPages = context.pages !== null && policy.wantsPages === true;
    if (from === undefined) {
      const { state, actions, wakeAtMs } = policy.init(context);
      this.#policyState = state;
      this.#wakeAtMs = wakeAtMs;
      this.#waitedMs = actions.reduce((sum, each) => (each.kind === 'wait' ? sum + each.waitMs : sum), 0);
      this.#state = initialState(guest, context, this.#costs, null);
      this.#forecasting = initForecast(context);
      for (const action of actions) this.#carryOut(action);
      this.#fillSocket();
      // The guest has gone on while the policy waited.
      this.#state.guestMs += this.#waitedMs;
      this.#state.syncedGuestMs += this.#waitedMs;
    } else {
      this.#policyState = from.policyStep.state;
      this.#wakeAtMs = from.policyStep.wakeAtMs;
      this.#state = initialState(guest, context, this.#costs, from);
      this.#forecasting = from.forecasting;
      this.#switches = from.switching;
    }
    this.#nextSampleMs = this.#state.nowMs;
    const canSample = from === undefined && !this.#showsPages;
    this.#sampler = canSample ? new SimulatedSampler(guest, this.#state.guestMs) : null;
  }

  /** QEMU counts as sent what its socket has taken, and that takes the first bytes at once. */
  #fillSocket(): void {
    const state = this.#state;
    const { linkBytesPerSec, context } = this.#options;
    const wire = wireBytesPerMs(state, linkBytesPerSec);
    const link = linkBytesPerSec / 1000;
    // Below the link's rate QEMU sends what its limit allows in 100 ms as fast as the link takes it, and then waits.
    const ahead =
      wire < link
        ? wire * RATE_WINDOW_MS * (1 - wire / link)
        : Math.min(this.#costs.queueBytes, context.sendQueueBytes);
    const taken = Math.min(ahead, state.pendingBytes);
    state.pendingBytes -= taken;
    state.transferredBytes += taken * (1 - state.zeroRatio);
  }

  /** A migration that is gone on with at the very sync that lets QEMU complete, or between that and the completion. */
  #isAboutToComplete(): boolean {
    const { from, linkBytesPerSec } = this.#options;
    const state = this.#state;
    if (from === undefined || from.switching || state.round < 2 || state.held) return false;
    if (from.status === 'device' || from.status === 'pre-switchover') return true;
    const isAtSync = from.nowMs - from.roundStartMs < ITERATION_MS;
    return isAtSync && state.pendingBytes <= this.#thresholdBytes(wireBytesPerMs(state, linkBytesPerSec));
  }

  run(): SimulatedRun {
    const state = this.#state;
    if (this.#options.from?.status === 'postcopy-active') return this.#postcopy(true);
    if (this.#isAboutToComplete())
      return this.#completePrecopy(wireBytesPerMs(state, this.#options.linkBytesPerSec));
    const capMs = this.#options.capMs ?? DEFAULT_CAP_MS;
    for (;;) {
      if (this.#cancelled !== null) return this.#onSource(this.#cancelled, false);
      if (this.#switches) return this.#postcopy(false);
      const wire = wireBytesPerMs(state, this.#options.linkBytesPerSec);
      const endMs = this.#roundEndMs(wire);
      const wakeMs = this.#wakeAtMs ?? Infinity;
      const nextMs = Math.min(endMs, this.#nextSampleMs, wakeMs, this.#nextPagesMs, capMs);
      advance(state, nextMs, wire, this.#costs, this.#options.guest);
      if (nextMs >= capMs) return this.#onSource('given up: pre-copy had not finished', true);
      if (nextMs === endMs) {
        const end = this.#endRound(wire);
        if (end !== null) return end;
      } else if (nextMs === this.#nextPagesMs) {
        this.#lookAtPages(wire);
      } else if (nextMs === this.#nextSampleMs) {
        this.#nextSampleMs = state.nowMs + SAMPLE_MS;
        this.#observe('sample', wire, null);
      } else {
        this.#wakeAtMs = null;
        this.#take(this.#options.policy.step(this.#policyState, { kind: 'tick', nowMs: state.nowMs }));
      }
    }
  }

  /** What the downtime limit leaves for the transfer, in bytes, by the rate that QEMU goes by. */
  #thresholdBytes(wire: number): number {
    const { parameters } = this.#state;
    const told = parameters.availSwitchoverBandwidthBytesPerSec ?? 0;
    const rate = told > 0 ? told / 1000 : wire;
    return Math.max(LEAST_THRESHOLD_BYTES, rate * (parameters.downtimeLimitMs ?? 300));
  }

  /** When QEMU will sync next: as soon as what is left would fit, or all is sent that is not left out. */
  #roundEndMs(wire: number): number {
    const state = this.#state;
    const goal = state.held ? 0 : Math.max(0, this.#thresholdBytes(wire) - state.deferredBytes);
    const perMs = passBytesPerMs(state, wire, this.#costs);
    const fitsAtMs = state.nowMs + Math.max(0, state.pendingBytes - goal) / perMs;
    const sentAtMs = state.nowMs + state.pendingBytes / perMs;
    // It looks at what is left when it has sent for a while, not before.
    const looks = Math.max(1, Math.ceil((fitsAtMs - state.roundStartMs) / ITERATION_MS - 1e-9));
    const looksAtMs = state.roundStartMs + looks * ITERATION_MS;
    const soonestMs = state.held ? state.roundStartMs + IDLE_SYNC_MS : 0;
    return Math.max(state.nowMs, soonestMs, Math.min(looksAtMs, sentAtMs));
  }

  #sync(): { readonly dirtied: number; readonly intervalMs: number } {
    const state = this.#state;
    const { guest } = this.#options;
    const intervalMs = state.nowMs - state.roundStartMs;
    const { dirtiedBytes, deferredDirtiedBytes } = syncBitmap(guest, state);
    state.nowMs += (this.#costs.syncMsPerGib * guest.memoryBytes) / (1024 * MIB);
    return { dirtied: dirtiedBytes + deferredDirtiedBytes, intervalMs };
  }

  /** A round is over: QEMU completes, or begins the next one. */
  #endRound(wire: number): SimulatedRun | null {
    const state = this.#state;
    const startedMs = state.roundStartMs;
    const unsentBytes = state.pendingBytes;
    const { dirtied, intervalMs } = this.#sync();
    const fits = state.pendingBytes + state.deferredBytes <= this.#thresholdBytes(wire);
    if (fits && !state.held) return this.#completePrecopy(wire);
    stepThrottle(state, this.#options.policy, dirtied);
    state.round += 1;
    state.roundStartMs = state.nowMs;
    const pages = this.#showsPages
      ? pagesOf(state, this.#options.guest, { endsRound: true, dirtiedBytes: dirtied, intervalMs })
      : null;
    const whole = state.deferredBytes === 0 ? state.pendingBytes : null;
    this.#observe('round', wire, pages, {
      endedRoundMs: state.nowMs - startedMs,
      dirtyAtRoundStartBytes: whole,
      unsentBytes: whole === null ? null : unsentBytes,
    });
    this.#nextSampleMs = state.nowMs + SAMPLE_MS;
    if (state.sampleMs > 0) this.#nextPagesMs = state.nowMs + state.sampleMs;
    return null;
  }

  /** A held migration is had to sync in the middle of a round. */
  #lookAtPages(wire: number): void {
    const state = this.#state;
    const { dirtied, intervalMs } = this.#sync();
    state.round += 1;
    this.#nextPagesMs = state.sampleMs > 0 ? state.nowMs + state.sampleMs : Infinity;
    const pages = pagesOf(state, this.#options.guest, {
      endsRound: false,
      dirtiedBytes: dirtied,
      intervalMs,
    });
    this.#observe('sample', wire, pages);
  }

  #observe(
    kind: Observation['kind'],
    wire: number,
    pages: PageSummary | null,
    boundary: Pick<Observation, 'endedRoundMs' | 'dirtyAtRoundStartBytes' | 'unsentBytes'> = NO_BOUNDARY,
  ): void {
    const state = this.#state;
    const dirtySamples: DirtySample[] =
      this.#sampler !== null && state.round === 1 ? this.#sampler.take(state.guestMs) : [];
    if (pages !== null) {
      dirtySamples.push({ windowMs: pages.intervalMs, dirtyBytes: pages.dirtiedPages * pages.pageSizeBytes });
    }
    this.#show(
      observationOf(state, this.#options.guest, {
        kind,
        status: 'active',
        ...boundary,
        remainingBytes: state.pendingBytes + state.deferredBytes,
        wireBytesPerMs: wire,
        pageRequests: 0,
        destinationResumed: false,
        dirtySamples,
        pages,
        showsPages: this.#showsPages,
      }),
    );
  }

  #show(observation: Observation): void {
    this.#forecasting = foldObservation(this.#forecasting, observation);
    this.#take(
      this.#options.policy.step(this.#policyState, {
        kind: 'observation',
        nowMs: observation.atMs,
        observation,
        forecast: forecastOf(this.#forecasting, observation),
      }),
    );
  }

  #take({ state, actions, wakeAtMs }: PolicyStep<unknown>): void {
    this.#policyState = state;
    this.#wakeAtMs = wakeAtMs === null ? null : Math.max(wakeAtMs, this.#state.nowMs + LEAST_TICK_MS);
    for (const action of actions) this.#carryOut(action);
  }

  #carryOut(action: Action): void {
    const state = this.#state;
    this.#actions.push({ atMs: state.nowMs, action });
    switch (action.kind) {
      case 'set-parameters':
        Object.assign(state.parameters, action.change);
        break;
      case 'start-postcopy':
        this.#switches = this.#options.context.postcopyReady;
        break;
      case 'hold':
        state.held = action.hold;
        state.sampleMs = action.sampleMs;
        this.#nextPagesMs = action.sampleMs > 0 ? state.nowMs + action.sampleMs : Infinity;
        break;
      case 'defer':
        state.deferFromClass = action.leastHeat === null ? Infinity : Math.ceil(action.leastHeat / 16) + 1;
        if (action.leastHeat !== null && action.leastHeat <= 1) state.deferFromClass = action.leastHeat;
        break;
      case 'pack':
        state.packBytes = action.budgetBytes;
        break;
      case 'shorten-queue':
        state.isQueueShort = true;
        break;
      case 'pause-guest':
        state.stoppedAtMs ??= state.nowMs;
        break;
      case 'cancel':
        this.#cancelled = action.reason.text;
        break;
      case 'wait':
      case 'pause-postcopy':
      // By then the guest has answered.
      case 'end-pacing':
      case 'continue':
        break;
    }
  }

  #completePrecopy(wire: number): SimulatedRun {
    const state = this.#state;
    const { linkBytesPerSec } = this.#options;
    const { precopyEndMs, awakeningMs } = this.#costs;
    const leftBytes = state.pendingBytes + state.deferredBytes;
    // QEMU lifts its limit for the last pass.
    const leftMs = leftBytes / Math.max(wire, linkBytesPerSec / 1000);
    const stoppedAtMs = state.stoppedAtMs ?? state.nowMs;
    const tmtMs = state.nowMs + leftMs + precopyEndMs;
    const stopToResumeMs = tmtMs - stoppedAtMs;
    const silenceMs = stopToResumeMs + awakeningMs;
    return {
      ...this.#figures(),
      tmtMs,
      stopToResumeMs,
      silenceMs,
      transferredBytes: state.transferredBytes + leftBytes * (1 - state.zeroRatio),
      lostWorkMs: silenceMs + this.#lostToThrottle(),
    };
  }

  #figures() {
    return {
      outcome: 'completed',
      reason: 'completed',
      capped: false,
      waitedMs: this.#waitedMs,
      rounds: this.#state.round,
      usedPostcopy: false,
      actions: this.#actions,
    } as const;
  }

  /** How far the guest's own time has fallen behind. */
  #lostToThrottle(): number {
    const state = this.#state;
    if (state.stoppedAtMs !== null) return 0;
    const began = this.#options.from?.nowMs ?? this.#costs.setupMs;
    return Math.max(0, state.nowMs - began - (state.guestMs - this.#waitedMs - began));
  }

  #postcopy(already: boolean): SimulatedRun {
    const state = this.#state;
    const { context, linkBytesPerSec, guest } = this.#options;
    if (!already) this.#sync();
    const end: PostcopyEnd = endOfPostcopy({
      state,
      guest,
      context,
      linkBytesPerSec,
      already,
      costs: this.#costs,
      step: (observation) => {
        this.#show(observation);
        return this.#wakeAtMs;
      },
      tick: (nowMs) => {
        this.#wakeAtMs = null;
        this.#take(this.#options.policy.step(this.#policyState, { kind: 'tick', nowMs }));
        return this.#wakeAtMs;
      },
    });
    return {
      ...this.#figures(),
      ...end,
      usedPostcopy: true,
      lostWorkMs: end.lostWorkMs + this.#lostToThrottle(),
    };
  }

  #onSource(reason: string, capped: boolean): SimulatedRun {
    return {
      ...this.#figures(),
      outcome: 'source-running',
      reason,
      capped,
      tmtMs: null,
      stopToResumeMs: null,
      silenceMs: null,
      transferredBytes: this.#state.transferredBytes,
      lostWorkMs: this.#lostToThrottle(),
    };
  }
}

/** One migration in the model. */
export function simulateMigration(options: SimulationOptions): SimulatedRun {
  return new Simulation(options).run();
}
