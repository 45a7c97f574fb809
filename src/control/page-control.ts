// SPDX-License-Identifier: Apache-2.0
// The senses and levers of a patched QEMU, joined: its rounds become page summaries, and what a policy wants of pages
// becomes lists of pages. On a stock QEMU there is none of it, and nothing else differs.

import { hasPageLevers, type Journal, LeversError, PageLevers } from '../act/index.ts';
import {
  choosePages,
  chooseStretch,
  encodePageList,
  loadAddon,
  type PageExtent,
  RingError,
  RingReader,
} from '../bitmap/index.ts';
import { type Clock, messageOf } from '../common/index.ts';
import type { Action, DirtySample, PageSummary } from '../model/index.ts';
import { PageTracker, withUntaken } from '../observe/index.ts';
import type { QmpSchema } from '../qmp/index.ts';
import type { Endpoint } from './endpoint.ts';
import type { Reporter } from './types.ts';

export type PageAction = Extract<Action, { kind: 'hold' | 'defer' | 'pack' }>;

export function isPageAction(action: Action): action is PageAction {
  return action.kind === 'hold' || action.kind === 'defer' || action.kind === 'pack';
}

export interface PageControlDeps {
  readonly source: Endpoint;
  readonly schema: QmpSchema;
  readonly journal: Journal;
  readonly reporter: Reporter;
  readonly clock: Clock;
}

const ROUND_EVENT = 'X_SLACKWATER_ROUND';
const RENEW_MS = 500;
/** Rounds with nothing to send are this long at least: as short as heat over short intervals wants to be fed. */
const SYNC_MS = 10;
const TRACK_MS = 20;

interface RoundEventData {
  readonly migration: boolean;
  readonly sequence?: number;
  readonly blocks: readonly { readonly deferred?: number }[];
}

export class PageControl {
  readonly #deps: PageControlDeps;
  readonly #levers: PageLevers;
  readonly #ring: RingReader;
  readonly #tracker: PageTracker;
  readonly #ended = new AbortController();
  #newest: PageSummary | null = null;
  #onRound: () => void = () => undefined;
  #renewing: NodeJS.Timeout | null = null;
  #onWindow: (sample: DirtySample) => void = () => undefined;
  #watching = false;
  #sees = true;
  #holds = false;

  private constructor(deps: PageControlDeps, levers: PageLevers, ring: RingReader) {
    this.#deps = deps;
    this.#levers = levers;
    this.#ring = ring;
    this.#tracker = new PageTracker(loadAddon().kernels, ring.layout.pageSizeBytes);
    void this.#pump().catch((error: unknown) => {
      if (!this.#ended.signal.aborted) this.#goBlind(error);
    });
  }

  /** Null where QEMU has none of it, or cannot share it with us, which is said. */
  static async open(deps: PageControlDeps): Promise<PageControl | null> {
    const { source, schema, journal, reporter } = deps;
    if (!hasPageLevers(schema)) return null;
    try {
      const levers = await PageLevers.open(source.client, journal, source.instance);
      const { addon } = loadAddon((reason) => {
        reporter.note(reason);
      });
      return new PageControl(deps, levers, RingReader.open(levers.ringPath, addon));
    } catch (error) {
      // What was begun is undone with the journal.
      if (!(error instanceof LeversError || error instanceof RingError)) throw error;
      reporter.note(`QEMU is patched, but its pages stay unseen: ${error.message}`);
      return null;
    }
  }

  /** Looks at the guest before a migration for so long; what is known then, null if nothing was seen. */
  async watch(watchMs: number): Promise<PageSummary | null> {
    await this.startWatching();
    await this.#deps.clock.sleep(watchMs);
    return this.take();
  }

  /** From now on the guest's pages are looked at, before a migration. Again: no effect. */
  async startWatching(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    await this.#levers.track(TRACK_MS);
  }

  /** Each heat window from now on, as a point of the dirtying curve. */
  onWindow(onWindow: (sample: DirtySample) => void): void {
    this.#onWindow = onWindow;
  }

  /** From now on every sync of the migration is told, once its pages have been seen. */
  listen(onRound: () => void): void {
    this.#onRound = onRound;
  }

  /** Whether QEMU's pages are seen; once they are not, they never are again. */
  get sees(): boolean {
    return this.#sees;
  }

  /** Whether something was seen that nobody has taken yet. */
  get hasNews(): boolean {
    return this.#newest !== null;
  }

  /** The summary of what was seen since it was taken last; null: nothing new. */
  take(): PageSummary | null {
    const newest = this.#newest;
    this.#newest = null;
    return newest;
  }

  /** Carries an action out. @throws QmpCommandError with QEMU's reason where it refuses */
  async perform(action: PageAction): Promise<void> {
    switch (action.kind) {
      case 'hold':
        await this.#levers.hold(action.hold, SYNC_MS, action.sampleMs);
        this.#holds = action.hold;
        break;
      case 'defer':
        await this.#levers.defer(this.#deferred(action));
        break;
      case 'pack':
        await this.#levers.pack(this.#list(this.#hot('fastHeat', 1)), action.budgetBytes);
        break;
    }
    // Blind, nothing is held up: QEMU drops what is not renewed.
    if (this.#sees) this.#renewing ??= setInterval(() => void this.#renew(), RENEW_MS);
  }

  /** Stops looking. What QEMU was told is undone with the journal. */
  close(): void {
    this.#ended.abort();
    this.#stopRenewing();
    this.#ring.close();
  }

  #stopRenewing(): void {
    if (this.#renewing !== null) clearInterval(this.#renewing);
    this.#renewing = null;
  }

  /** Whoever decides has to know at once: nobody can tell any more what there is to wait for. */
  #goBlind(error: unknown): void {
    this.#sees = false;
    this.#newest = null;
    this.#stopRenewing();
    this.#deps.reporter.note(`pages are not seen any more: ${messageOf(error)}`);
    this.#onRound();
  }

  /** The list for a deferral; null: nothing is deferred any more. */
  #deferred({ leastHeat, coldBytes }: Extract<PageAction, { kind: 'defer' }>): Uint8Array | null {
    const { pageSizeBytes } = this.#ring.layout;
    const blockPages = this.#tracker.blocks.map(({ pageCount }) => pageCount);
    const hot = leastHeat === null ? [] : this.#hot('slowHeat', leastHeat);
    const cold = chooseStretch(blockPages, coldBytes / pageSizeBytes);
    return hot.length + cold.length === 0 ? null : this.#list([...hot, ...cold]);
  }

  #hot(heat: 'slowHeat' | 'fastHeat', leastHeat: number): readonly PageExtent[] {
    const heated = this.#tracker.blocks.map((block) => ({ pageCount: block.pageCount, heat: block[heat] }));
    return choosePages(loadAddon().kernels, heated, leastHeat);
  }

  #list(extents: readonly PageExtent[]): Uint8Array {
    const names = this.#tracker.blocks.map(({ name }) => name);
    return encodePageList(this.#ring.layout.pageSizeBytes, names, extents);
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#levers.renew()) return;
    } catch {
      // A monitor that is gone or stuck: the lease ends by itself.
    }
    this.#holds = false;
    this.#stopRenewing();
  }

  async #pump(): Promise<void> {
    const { client } = this.#deps.source;
    for await (const event of client.events([ROUND_EVENT] as readonly string[], {
      signal: this.#ended.signal,
    })) {
      const data = event.data as unknown as RoundEventData;
      this.#see(data);
      if (data.migration) this.#onRound();
    }
  }

  /** Takes the pages of a round in; one that QEMU has overwritten already is left out as a whole. */
  #see({ sequence, migration, blocks }: RoundEventData): void {
    const round = sequence === undefined ? null : this.#ring.read(sequence);
    if (round === null) return;
    const deferredPages = migration ? blocks.reduce((sum, each) => sum + (each.deferred ?? 0), 0) : null;
    // Only while it is held does QEMU sync in the middle of a round.
    const endsRound = migration ? round.roundOver || !this.#holds : null;
    const summary = this.#tracker.add(round, { deferredPages, endsRound }, () => this.#ring.holds(round));
    if (summary === null) return;
    if (summary.window !== null) this.#onWindow(summary.window);
    this.#newest = withUntaken(this.#newest, summary);
  }
}
