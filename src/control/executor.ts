// SPDX-License-Identifier: Apache-2.0
// Carries actions out as the mode allows: enforce acts, advise asks, observe only tells. Falls back to observe when an
// action fails or somebody else changes what is ours.

import { type Journal, pauseGuest, type SendQueue, type Settings } from '../act/index.ts';
import { messageOf } from '../common/index.ts';
import type { Action, ParameterChange, ParameterValues } from '../model/index.ts';
import { readMigrationInfo } from '../observe/index.ts';
import { type BandwidthLimit, withinLimit } from './bandwidth-limit.ts';
import { isPageAction, type PageControl } from './page-control.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { Recorder } from '../record/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';
import { pauseSource } from './pause-postcopy.ts';
import type { Mode, Reporter } from './types.ts';

/** The switch waits for it. */
const SENT_TIMEOUT_MS = 500;

export interface ExecutorDeps {
  readonly source: QmpClient;
  readonly destination: QmpClient | null;
  readonly settings: Settings;
  readonly journal: Journal;
  /** Null on a stock QEMU: no policy wants anything of pages then. */
  readonly pages: PageControl | null;
  /** Null where QEMU's sockets cannot be reached, or need not be. */
  readonly sendQueue: SendQueue | null;
  readonly recorder: Recorder;
  readonly reporter: Reporter;
  /** The parameters as the operator left them. */
  readonly operatorParameters: ParameterValues;
  readonly mode: Mode;
  /** Null: nobody limits what the policy sets. */
  readonly bandwidthLimit: BandwidthLimit | null;
  /** Whether the migration is ours to begin, and so to begin later. */
  readonly mayWait: boolean;
  /** Resolves after so long, or as soon as the user interrupts. */
  readonly wait: (ms: number) => Promise<void>;
  /** Of the run. */
  readonly nowMs: () => number;
  /** The operator wants a proposed action; it comes back by `carryOut`, in its turn. */
  readonly onConfirmed: (action: Action) => void;
  /** Steering has ended: our parameters are to be put back at once, where they are still ours. */
  readonly onStandBack: () => void;
}

export class Executor {
  readonly #deps: ExecutorDeps;
  #mode: Mode;
  /** What the policy wants, whatever the limit makes of it. */
  #wanted: ParameterChange = {};
  #intention = '';
  #endedBecause: string | null = null;
  #forecastDowntimeMs: number | null = null;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
    this.#mode = deps.mode;
  }

  /** The newest decision's words. */
  get intention(): string {
    return this.#intention;
  }

  /** Why the migration was cancelled or paused, when we did it. */
  get endedBecause(): string | null {
    return this.#endedBecause;
  }

  /** The forecast that the newest decision to switch was made with. */
  get forecastDowntimeMs(): number | null {
    return this.#forecastDowntimeMs;
  }

  /** What the policy wants before anything moves. A setting that fails here is an error: nothing has begun. */
  async prepare(actions: readonly Action[]): Promise<void> {
    for (const action of actions) {
      if (this.#mode !== 'enforce' || (action.kind === 'wait' && !this.#deps.mayWait)) {
        this.#propose(action);
        continue;
      }
      this.#deps.recorder.action(this.#deps.nowMs(), action, true);
      // A wait is said before, or nobody knows why nothing happens.
      if (action.kind === 'wait') this.#deps.reporter.decision(action, true);
      await this.#perform(action);
      if (action.kind !== 'wait') this.#deps.reporter.decision(action, true);
    }
  }

  /** Carries an action out, or proposes it, as the mode says. */
  async want(action: Action): Promise<void> {
    const isFree = action.kind === 'continue' || this.#mode === 'enforce';
    if (isFree || (this.#mode === 'advise' && this.#givesBack(action))) await this.carryOut(action);
    else this.#propose(action);
  }

  async carryOut(action: Action): Promise<void> {
    const { source, recorder, reporter, nowMs } = this.#deps;
    recorder.action(nowMs(), action, true);
    this.#intention = action.reason.text;
    const forecastDowntimeMs = action.reason.numbers['forecastDowntimeMs'];
    if (forecastDowntimeMs !== undefined && action.kind !== 'continue') {
      this.#forecastDowntimeMs = forecastDowntimeMs;
    }
    try {
      await this.#perform(action);
    } catch (error) {
      if (source.state !== 'running') return;
      this.#standBack(
        `${action.kind} failed: ${messageOf(error)}; from here on this migration is only watched`,
      );
    }
    reporter.decision(action, true);
  }

  async #set(change: ParameterChange): Promise<void> {
    this.#wanted = { ...this.#wanted, ...change };
    await this.#deps.settings.set(withinLimit(change, this.#deps.bandwidthLimit?.bytesPerSec ?? null));
  }

  /** Sets the bandwidths that are wanted anew, within the limit as it is now. */
  async applyLimit(): Promise<void> {
    const { bandwidthLimit, operatorParameters: own, settings, source } = this.#deps;
    if (bandwidthLimit === null || this.#mode !== 'enforce') return;
    const { maxBandwidthBytesPerSec: precopy, maxPostcopyBandwidthBytesPerSec: postcopy } = this.#wanted;
    const wanted = {
      maxBandwidthBytesPerSec: precopy ?? own.maxBandwidthBytesPerSec ?? 0,
      maxPostcopyBandwidthBytesPerSec: postcopy ?? own.maxPostcopyBandwidthBytesPerSec ?? 0,
    };
    try {
      await settings.set(withinLimit(wanted, bandwidthLimit.bytesPerSec));
    } catch (error) {
      if (source.state !== 'running') return;
      this.#standBack(`its share of the link could not be set: ${messageOf(error)}; it is only watched now`);
    }
  }

  /** Stands back where somebody else has changed a setting of ours. */
  async checkForeignChanges(): Promise<void> {
    if (this.#mode === 'observe') return;
    try {
      const changes = await this.#deps.settings.foreignChanges();
      if (changes.length === 0) return;
      const list = changes
        .map(({ name, ours, found }) => `${name} is ${String(found)} instead of ${String(ours)}`)
        .join(', ');
      this.#standBack(
        `somebody else changed settings (${list}); control ends, this migration is only watched`,
      );
    } catch {
      // A slow monitor is no foreign hand; the next check comes.
    }
  }

  /** Putting back what the operator had needs no leave: unanswered, the migration would stay held or throttled. */
  #givesBack(action: Action): boolean {
    if (action.kind === 'end-pacing') return true;
    if (action.kind !== 'set-parameters') return false;
    const own = this.#deps.operatorParameters;
    return Object.entries(action.change).every(([name, value]) => own[name as keyof typeof own] === value);
  }

  /** Says what would be done; in advise mode it is done once the operator confirms it. */
  #propose(action: Action): void {
    const { reporter, recorder, nowMs, onConfirmed } = this.#deps;
    recorder.action(nowMs(), action, false);
    reporter.decision(action, false);
    if (this.#mode !== 'advise') return;
    void reporter.confirm(action).then((wanted) => {
      if (wanted) onConfirmed(action);
    });
  }

  async #perform(action: Action): Promise<void> {
    const { source, destination, journal, pages } = this.#deps;
    const options = { timeoutMs: QUERY_TIMEOUT_MS };
    if (isPageAction(action)) {
      await pages?.perform(action);
      return;
    }
    switch (action.kind) {
      case 'continue':
        break;
      case 'wait':
        await this.#deps.wait(action.waitMs);
        break;
      case 'set-parameters':
        await this.#set(action.change);
        break;
      case 'shorten-queue':
        await this.#shortenQueue(action.bandwidthBytesPerSec, action.paced);
        break;
      case 'end-pacing':
        this.endPacing();
        break;
      case 'start-postcopy':
        await source.execute('migrate-start-postcopy', undefined, options);
        break;
      case 'pause-guest':
        await pauseGuest(source, journal);
        break;
      case 'pause-postcopy':
        this.#endedBecause = action.reason.text;
        await Promise.allSettled([
          pauseSource(source, options),
          destination?.executeOob('migrate-pause', undefined, options),
        ]);
        break;
      case 'cancel':
        this.#endedBecause = action.reason.text;
        await source.execute('migrate_cancel', undefined, options);
        break;
    }
  }

  /** Without it the same is only slower. */
  async #shortenQueue(bandwidthBytesPerSec: number, paced: boolean): Promise<void> {
    const { source, sendQueue, reporter } = this.#deps;
    if (sendQueue === null) return;
    try {
      const reply = await source.execute('query-migrate', undefined, { timeoutMs: SENT_TIMEOUT_MS });
      const sentBytes = readMigrationInfo(reply).transferredBytes ?? 0;
      sendQueue.shorten(bandwidthBytesPerSec, paced, sentBytes);
    } catch (error) {
      reporter.note(messageOf(error));
    }
  }

  /** A stream that was paced is as fast as it can be again; else nothing happens. */
  endPacing(): void {
    const { sendQueue, reporter } = this.#deps;
    try {
      sendQueue?.endPacing();
    } catch (error) {
      reporter.note(messageOf(error));
    }
  }

  #standBack(text: string): void {
    const { recorder, reporter, nowMs, onStandBack } = this.#deps;
    this.#mode = 'observe';
    this.endPacing();
    recorder.note(nowMs(), text);
    reporter.note(text);
    onStandBack();
  }
}
