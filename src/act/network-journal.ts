// SPDX-License-Identifier: Apache-2.0
// The undo journal of hosts' networks: queueing disciplines and counters that we have made, written down before they are. One
// file per process that shapes, beside those of the VMs, and undone in the same ways.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf } from '../common/index.ts';
import { type CountersUndo, type NicUndo, placeName, undoCounters, undoNic } from '../tc/index.ts';
import { draftOf, JournalError, lockJournal, startTicksOf, unlockJournal } from './journal-lock.ts';

export type HostUndo =
  | { readonly kind: 'nic'; readonly nic: NicUndo }
  | { readonly kind: 'counters'; readonly counters: CountersUndo };

const PREFIX = 'network-';
const DOES = 'shapes this network';

export function isNetworkJournal(path: string): boolean {
  return basename(path).startsWith(PREFIX);
}

interface Content {
  readonly version: 1;
  readonly undos: readonly HostUndo[];
}

/** The same thing of the same host. */
function keyOf(undo: HostUndo): string {
  const { place, ...what } =
    undo.kind === 'nic'
      ? { place: undo.nic.place, of: [undo.nic.device, undo.nic.direction] }
      : { place: undo.counters.place, of: undo.counters.table };
  return JSON.stringify([undo.kind, place, what]);
}

/** What is to be undone, in words. */
function describeUndo(undo: HostUndo): string {
  if (undo.kind === 'counters') return `counters ${undo.counters.table} (${placeName(undo.counters.place)})`;
  const { device, direction, place } = undo.nic;
  return `shaping of what ${device} ${direction === 'send' ? 'sends' : 'receives'} (${placeName(place)})`;
}

/** An open journal. Every call is synchronous: what it says is on file when it returns. */
export class NetworkJournal {
  readonly path: string;
  readonly #undos: Map<string, HostUndo>;

  private constructor(path: string, undos: readonly HostUndo[]) {
    this.path = path;
    this.#undos = new Map(undos.map((undo) => [keyOf(undo), undo]));
  }

  /** Where the journal of this process is. */
  static pathOf(directory: string): string {
    return join(directory, `${PREFIX}${process.pid}-${startTicksOf(process.pid) ?? 0}.journal`);
  }

  /** Creates and locks a journal of this process. */
  static create(directory: string): NetworkJournal {
    const path = NetworkJournal.pathOf(directory);
    lockJournal(path, DOES);
    const journal = new NetworkJournal(path, []);
    journal.#rewrite();
    return journal;
  }

  /** Opens and locks one that was left, to undo it. @throws JournalError */
  static open(path: string): NetworkJournal {
    lockJournal(path, DOES);
    try {
      const { version, undos } = JSON.parse(readFileSync(path, 'utf8')) as Content;
      if ((version as number) !== 1) throw new Error(`version ${String(version)}`);
      return new NetworkJournal(path, undos);
    } catch (error) {
      unlockJournal(path);
      throw new JournalError(`${path} is not an undo journal of version 1: ${messageOf(error)}`, {
        cause: error,
        remedy:
          'undo it with the version of slackwater that wrote it, or delete it after a look at: tc qdisc',
      });
    }
  }

  get undos(): readonly HostUndo[] {
    return [...this.#undos.values()];
  }

  /** Writes an intended change down. Must return before the change is made. */
  add(undo: HostUndo): void {
    this.#undos.set(keyOf(undo), undo);
    this.#rewrite();
  }

  forget(undo: HostUndo): void {
    this.#undos.delete(keyOf(undo));
    this.#rewrite();
  }

  /** Releases the lock; removes the file when nothing is left to undo. */
  close(): void {
    if (this.#undos.size === 0) rmSync(this.path, { force: true });
    unlockJournal(this.path);
  }

  #rewrite(): void {
    const content: Content = { version: 1, undos: this.undos };
    writeFileSync(draftOf(this.path), `${JSON.stringify(content)}\n`, { mode: 0o600 });
    renameSync(draftOf(this.path), this.path);
  }
}

/** Undoes what a journal holds, newest first; what fails stays in it. */
export async function undoNetwork(
  journal: NetworkJournal,
): Promise<{ readonly restored: string[]; readonly pending: string[] }> {
  const restored: string[] = [];
  const pending: string[] = [];
  for (const undo of [...journal.undos].reverse()) {
    try {
      const was = undo.kind === 'nic' ? await undoNic(undo.nic) : await undoCounters(undo.counters);
      if (was) restored.push(describeUndo(undo));
      journal.forget(undo);
    } catch (error) {
      pending.push(`${describeUndo(undo)}: ${messageOf(error)}`);
    }
  }
  return { restored, pending };
}
