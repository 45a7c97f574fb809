// SPDX-License-Identifier: Apache-2.0
// The one straight way, round after round: observe -> forecast -> decide -> act -> record. Runs from the moment a
// migration is under way until its status says that it is over, or until the source cannot be asked any more.
// Concluding how it ended is not its business.

import type { Journal, SendQueue, Settings } from '../act/index.ts';
import { type Clock, formatMs, messageOf } from '../common/index.ts';
import { stepStall, type StallState } from '../decide/index.ts';
import { type ForecastState, initForecast, shiftProfile, stepForecast } from '../forecast/index.ts';
import type { Observation, PolicyContext, PolicyStep } from '../model/index.ts';
import {
  foldPass,
  foldReading,
  initObserve,
  isFinal,
  type ObserveState,
  type QueryMigrateReply,
  readMigrationInfo,
  sampleDirtyPages,
} from '../observe/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { Recorder } from '../record/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';
import { Executor } from './executor.ts';
import type { Mailbox } from './mailbox.ts';
import type { PageControl } from './page-control.ts';
import type { ControlOptions, Reporter } from './types.ts';
import type { WatchMessage } from './watch.ts';

export interface LoopDeps {
  readonly source: QmpClient;
  readonly destination: QmpClient | null;
  readonly settings: Settings;
  readonly journal: Journal;
  /** Null on a stock QEMU. */
  readonly pages: PageControl | null;
  /** Null where QEMU's sockets cannot be reached, or need not be. */
  readonly sendQueue: SendQueue | null;
  readonly mailbox: Mailbox<WatchMessage>;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly reporter: Reporter;
  readonly options: ControlOptions;
  readonly context: PolicyContext;
  /** The policy after `init`; its first actions are carried out before the migration begins. */
  readonly initial: PolicyStep<unknown>;
  readonly canSample: boolean;
  /** Whether the destination has said RESUME; null when nobody listens to it. */
  readonly hasResumed: () => boolean | null;
  /** Puts our parameters back at once, where they are still ours. */
  readonly undoParameters: () => Promise<void>;
  /** Interrupts; a wait ends with them. */
  readonly signal: AbortSignal | undefined;
  /** What to wait for between all preparations and the beginning; where it rejects, nothing begins. Absent: nothing. */
  readonly gate?: (() => Promise<void>) | undefined;
  /** An interrupt in pre-copy cancels the migration (`migrate`), or only ends the control (`attach`). */
  readonly onInterrupt: 'cancel' | 'let-go';
}

export interface LoopResult {
  readonly last: Observation | null;
  /** Cancelled on the user's request. */
  readonly interrupted: boolean;
  /** Left to itself on the user's request; it goes on. */
  readonly letGo: boolean;
  /** Cancelled because its time was up. */
  readonly givenUp: boolean;
  /** Why the migration was cancelled or paused, when we did it. */
  readonly endedBecause: string | null;
  readonly forecastDowntimeMs: number | null;
  readonly usedPostcopy: boolean;
  /** Between the decision and the beginning, because the policy wanted so. */
  readonly waitedMs: number;
}

const SAMPLE_MS = 250;
const POSTCOPY_SAMPLE_MS = 25;
const FOREIGN_CHECK_MS = 1000;
const ENDED = new Set(['completed', 'failed', 'cancelled', 'postcopy-paused']);

export class ControlLoop {
  readonly #deps: LoopDeps;
  readonly #executor: Executor;
  #observing: ObserveState;
  #forecasting: ForecastState;
  #policyState: unknown;
  #wakeAtMs: number | null;
  #stall: StallState | null = null;
  #last: Observation | null = null;
  #interrupted = false;
  #letGo = false;
  #givenUp = false;
  #usedPostcopy = false;
  #waitedMs = 0;
  #samples: { windowMs: number; dirtyBytes: number }[] = [];
  #sampling: AbortController | null = null;
  #foreignCheckAtMs: number;
  #startMs: number;
  #startedAtMs: number;

  constructor(deps: LoopDeps) {
    this.#deps = deps;
    this.#observing = initObserve(0);
    this.#forecasting = initForecast(deps.context);
    this.#policyState = deps.initial.state;
    this.#wakeAtMs = deps.initial.wakeAtMs;
    this.#startMs = deps.clock.nowMs();
    this.#startedAtMs = deps.clock.wallMs();
    this.#foreignCheckAtMs = FOREIGN_CHECK_MS;
    this.#executor = new Executor({
      ...deps,
      mode: deps.options.mode,
      bandwidthLimit: deps.options.bandwidthLimit ?? null,
      mayWait: deps.onInterrupt === 'cancel',
      wait: (ms) => this.#wait(ms),
      operatorParameters: deps.context.parameters,
      nowMs: () => this.#nowMs(),
      onConfirmed: (action) => deps.mailbox.push({ kind: 'confirmed', action }),
      onStandBack: () => {
        deps.mailbox.push({ kind: 'changed' });
        void deps.undoParameters().catch(() => undefined);
      },
    });
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs() - this.#startMs;
  }

  /** Zero of all times, on the clock: when the migration began, as far as we know. */
  get startMs(): number {
    return this.#startMs;
  }

  /** The same moment on the wall clock. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  /** Carries out the policy's first actions, has the migration begun, and stays until it is over. */
  async run(begin: () => Promise<void>): Promise<LoopResult> {
    const { mailbox, options, clock } = this.#deps;
    await this.#executor.prepare(this.#deps.initial.actions);
    await this.#deps.gate?.();
    await this.#executor.applyLimit();
    const preparedMs = clock.nowMs() - this.#startMs;
    this.#startMs = clock.nowMs();
    this.#startedAtMs = clock.wallMs();
    this.#beginForecast(preparedMs);
    await begin();
    let sampleAtMs = 0;
    let hasSeenMigration = false;
    try {
      for (;;) {
        const wakeMs = Math.min(sampleAtMs, this.#wakeAtMs ?? Infinity);
        const message = await mailbox.next(this.#startMs + wakeMs);
        if (message?.kind === 'source-gone') break;
        if (message?.kind === 'interrupt' && this.#deps.onInterrupt === 'let-go') {
          this.#letGo = true;
          break;
        }
        if (message !== null && !this.#takeMessage(message)) continue;
        if (message === null && this.#wakeAtMs !== null && this.#nowMs() >= this.#wakeAtMs)
          await this.#tick();
        if (message === null && this.#nowMs() < sampleAtMs) continue;

        const observation = await this.#observe();
        if (observation === null) {
          sampleAtMs = this.#nowMs() + SAMPLE_MS;
          continue;
        }
        const { status } = observation;
        if (status !== 'none') hasSeenMigration = true;
        if (ENDED.has(status) || (status === 'none' && hasSeenMigration)) break;
        if (options.giveUpMs !== null && this.#nowMs() >= options.giveUpMs)
          await this.#giveUp(options.giveUpMs);
        if (this.#nowMs() >= this.#foreignCheckAtMs) {
          this.#foreignCheckAtMs = this.#nowMs() + FOREIGN_CHECK_MS;
          await this.#executor.checkForeignChanges();
        }
        sampleAtMs = this.#nowMs() + (status === 'postcopy-active' ? POSTCOPY_SAMPLE_MS : SAMPLE_MS);
      }
    } finally {
      this.#sampling?.abort();
      this.#executor.endPacing();
    }
    return {
      last: this.#last,
      interrupted: this.#interrupted,
      letGo: this.#letGo,
      givenUp: this.#givenUp,
      endedBecause: this.#interrupted ? 'interrupted by the user' : this.#executor.endedBecause,
      forecastDowntimeMs: this.#executor.forecastDowntimeMs,
      usedPostcopy: this.#usedPostcopy,
      waitedMs: this.#waitedMs,
    };
  }

  /** What was seen of the guest was told from the moment of the decision on; from now on times count from the beginning. */
  #beginForecast(sinceDecisionMs: number): void {
    const { recorder, context } = this.#deps;
    const profile = context.profile === null ? null : shiftProfile(context.profile, -sinceDecisionMs);
    this.#forecasting = initForecast({ ...context, profile });
    recorder.context(0, context);
    for (const sample of profile?.samples ?? []) recorder.profile(sample);
  }

  async #wait(ms: number): Promise<void> {
    const { clock, signal } = this.#deps;
    const fromMs = clock.nowMs();
    await clock.sleep(ms, signal).catch(() => undefined);
    this.#waitedMs += clock.nowMs() - fromMs;
  }

  /** Takes a message in; whether it calls for an observation at once. */
  #takeMessage(message: WatchMessage): boolean {
    switch (message.kind) {
      case 'pass':
        this.#observing = foldPass(this.#observing, message.pass, message.receivedMs - this.#startMs);
        // The pages of that sync follow, and are looked at then.
        return !(this.#deps.pages?.sees ?? false);
      case 'pages':
        return this.#deps.pages?.sees === false || (this.#deps.pages?.hasNews ?? false);
      case 'changed':
      case 'destination-gone':
        return true;
      case 'confirmed':
        void this.#executor.carryOut(message.action);
        return false;
      case 'limit':
        void this.#executor.applyLimit();
        return false;
      case 'interrupt':
        void this.#interrupt();
        return false;
      case 'source-gone':
        return false;
    }
  }

  async #observe(): Promise<Observation | null> {
    const { source, recorder, reporter, settings } = this.#deps;
    let reply: QueryMigrateReply;
    try {
      reply = await source.execute('query-migrate', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
    } catch (error) {
      if (source.state === 'running') reporter.note(`QEMU did not answer query-migrate: ${messageOf(error)}`);
      return null;
    }
    const info = readMigrationInfo(reply);
    if (!isFinal(info)) return null;
    const pages = this.#deps.pages?.take() ?? null;
    if (pages !== null) {
      this.#samples.push({
        windowMs: pages.intervalMs,
        dirtyBytes: pages.dirtiedPages * pages.pageSizeBytes,
      });
    }
    const folded = foldReading(this.#observing, {
      info,
      atMs: this.#nowMs(),
      dirtySamples: this.#samples,
      pages,
      showsPages: this.#deps.pages?.sees ?? false,
      destinationResumed: this.#deps.hasResumed(),
      switchoverBytesPerSec: settings.parameters.availSwitchoverBandwidthBytesPerSec,
    });
    this.#samples = [];
    this.#observing = folded.state;
    const { observation } = folded;
    this.#last = observation;
    if (observation.status === 'postcopy-active') this.#usedPostcopy = true;
    this.#steerSampling(observation);

    const { state, forecast } = stepForecast(this.#forecasting, observation);
    this.#forecasting = state;
    recorder.observation(observation);
    recorder.forecast(forecast);

    const step = this.#deps.options.policy.step(this.#policyState, {
      kind: 'observation',
      nowMs: this.#nowMs(),
      observation,
      forecast,
    });
    await this.#take(step);

    const stall = stepStall(this.#stall, observation, this.#deps.options.postcopyStallMs);
    this.#stall = stall.state;
    if (stall.action !== null) await this.#executor.want(stall.action);
    reporter.progress({ observation, forecast, intention: this.#executor.intention });
    return observation;
  }

  async #tick(): Promise<void> {
    await this.#take(
      this.#deps.options.policy.step(this.#policyState, { kind: 'tick', nowMs: this.#nowMs() }),
    );
  }

  async #take(step: PolicyStep<unknown>): Promise<void> {
    this.#policyState = step.state;
    this.#wakeAtMs = step.wakeAtMs;
    for (const action of step.actions) await this.#executor.want(action);
  }

  async #interrupt(): Promise<void> {
    const { reporter, source } = this.#deps;
    const status = this.#last?.status ?? 'none';
    if (status.startsWith('postcopy')) {
      reporter.note('post-copy cannot be cancelled: going on until the guest is whole on the destination');
      return;
    }
    this.#interrupted = true;
    try {
      await source.execute('migrate_cancel', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
    } catch (error) {
      reporter.note(`cancelling failed: ${messageOf(error)}`);
    }
  }

  async #giveUp(giveUpMs: number): Promise<void> {
    if (this.#usedPostcopy || this.#executor.endedBecause !== null) return;
    this.#givenUp = true;
    await this.#executor.carryOut({
      kind: 'cancel',
      reason: {
        text: `given up after ${formatMs(giveUpMs)}: pre-copy had not finished`,
        numbers: { giveUpMs },
      },
    });
  }

  /** Direct samples of the dirtying curve are taken during the first round only: later rounds are samples themselves. */
  #steerSampling(observation: Observation): void {
    const { canSample, source, clock } = this.#deps;
    const wanted = canSample && observation.status === 'active' && observation.round <= 1;
    if (!wanted) {
      this.#sampling?.abort();
      return;
    }
    if (this.#sampling !== null || observation.totalBytes === null) return;
    this.#sampling = new AbortController();
    void sampleDirtyPages(
      source,
      clock,
      observation.totalBytes,
      (sample) => this.#samples.push(sample),
      this.#sampling.signal,
    ).catch(() => undefined);
  }
}
