// SPDX-License-Identifier: Apache-2.0
// The levers of a patched QEMU: which pages it tells of, sends, leaves out and sends first. All of it is in the journal
// before it is used, and undone with it; hold and deferral end by themselves when nobody renews them.

import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, SlackwaterError } from '../common/index.ts';
import { type QmpClient, QmpCommandError, type QmpSchema } from '../qmp/index.ts';
import type { Journal, QemuInstance } from './journal.ts';

/** The levers cannot be used, although this QEMU has them. */
export class LeversError extends SlackwaterError {
  readonly code = 'ERR_LEVERS';
}

const QMP_TIMEOUT_MS = 5000;
const RING_SLOTS = 16;

const COMMANDS = ['observe', 'track', 'hold', 'renew', 'defer', 'pack', 'query'].map(
  (verb) => `x-slackwater-${verb}`,
);

/** Whether this QEMU has all of the levers. */
export function hasPageLevers(schema: QmpSchema): boolean {
  return COMMANDS.every((command) => schema.hasCommand(command)) && schema.hasEvent('X_SLACKWATER_ROUND');
}

interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export class PageLevers {
  readonly #client: QmpClient;
  readonly #directory: string;
  readonly #owner: FileOwner | null;

  private constructor(client: QmpClient, directory: string, owner: FileOwner | null) {
    this.#client = client;
    this.#directory = directory;
    this.#owner = owner;
  }

  /**
   * Has QEMU tell of its syncs, pages and all.
   * @throws LeversError where it cannot: it is on another host, or may not open our files. Nothing is changed then.
   */
  static async open(client: QmpClient, journal: Journal, instance: QemuInstance): Promise<PageLevers> {
    if (instance.startTicks === null)
      throw new LeversError('its QEMU is on another host, and shares no memory with us');
    const directory = journal.sharedDirectory;
    const owner = ownerOf(instance.vcpuThreadId);
    journal.append({ type: 'observer', end: 'source', name: 'x-slackwater', before: false, written: true });
    const levers = new PageLevers(client, directory, owner);
    try {
      // What somebody else has laid out there is not used. QEMU may open the files, and lay none out either: we write to them.
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory, { mode: 0o700 });
      if (owner !== null) chmodSync(directory, 0o711);
      await levers.#execute('x-slackwater-observe', {
        rounds: true,
        ring: levers.#write('ring', new Uint8Array()),
        slots: RING_SLOTS,
      });
      return levers;
    } catch (error) {
      await endObserver(client, journal, QMP_TIMEOUT_MS);
      throw error instanceof LeversError
        ? error
        : new LeversError(`QEMU cannot share files with us: ${messageOf(error)}`, { cause: error });
    }
  }

  get ringPath(): string {
    return join(this.#directory, 'ring');
  }

  /** Looks at the guest's memory that often, before a migration; it ends with the migration's first round. */
  async track(intervalMs: number): Promise<void> {
    await this.#execute('x-slackwater-track', { interval: intervalMs });
  }

  /** `syncMs`: the least time between two syncs while there is nothing to send; `sampleMs`: between two within a round. */
  async hold(hold: boolean, syncMs: number, sampleMs: number): Promise<void> {
    await this.#execute('x-slackwater-hold', {
      hold,
      'sync-interval': syncMs,
      'sample-interval': sampleMs,
    });
  }

  /** Leaves the pages of a list (see `encodePageList`) out of pre-copy; null: none. */
  async defer(list: Uint8Array | null): Promise<void> {
    await this.#execute('x-slackwater-defer', list === null ? {} : { pages: this.#write('deferred', list) });
  }

  async pack(list: Uint8Array, budgetBytes: number): Promise<void> {
    await this.#execute('x-slackwater-pack', { pages: this.#write('first', list), budget: budgetBytes });
  }

  /** To be called at least every two seconds while something is held or deferred. False: nothing is, any more. */
  async renew(): Promise<boolean> {
    try {
      const options = { timeoutMs: QMP_TIMEOUT_MS };
      await (this.#client.oob
        ? this.#client.executeOobRaw('x-slackwater-renew', undefined, options)
        : this.#client.executeRaw('x-slackwater-renew', undefined, options));
      return true;
    } catch (error) {
      if (error instanceof QmpCommandError) return false;
      throw error;
    }
  }

  #execute(command: string, args: object): ReturnType<QmpClient['executeRaw']> {
    return this.#client.executeRaw(command, args, { timeoutMs: QMP_TIMEOUT_MS });
  }

  #write(name: string, bytes: Uint8Array): string {
    const path = join(this.#directory, name);
    writeFileSync(path, bytes, { mode: 0o600 });
    if (this.#owner !== null) chownSync(path, this.#owner.uid, this.#owner.gid);
    return path;
  }
}

/** Whose process a thread belongs to, where that is not us. */
function ownerOf(threadId: number): FileOwner | null {
  try {
    const { uid, gid } = statSync(`/proc/${threadId}`);
    return uid === process.getuid?.() ? null : { uid, gid };
  } catch {
    return null;
  }
}

/** Ends what `open` began, on a QEMU that may have ended it itself. Never throws on QEMU's refusals. */
export async function endObserver(client: QmpClient, journal: Journal, timeoutMs: number): Promise<boolean> {
  const isObserver = (entry: { readonly type: string }): boolean => entry.type === 'observer';
  if (!journal.content.entries.some(isObserver)) return false;
  const options = { timeoutMs };
  for (const [command, args] of [
    ['x-slackwater-hold', { hold: false, 'sample-interval': 0 }],
    ['x-slackwater-defer', {}],
    ['x-slackwater-pack', {}],
    ['x-slackwater-observe', { rounds: false }],
  ] as const) {
    try {
      await client.executeRaw(command, args, options);
    } catch (error) {
      // In post-copy the order of pages is settled, and there is nothing to hold.
      if (!(error instanceof QmpCommandError)) throw error;
    }
  }
  rmSync(journal.sharedDirectory, { recursive: true, force: true });
  journal.forget(isObserver);
  return true;
}
