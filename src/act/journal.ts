// SPDX-License-Identifier: Apache-2.0
// The undo journal: every setting that we change, written down before it is changed, as (before, written). One file per
// VM, mode 0600, locked by the process that owns it. It lives in memory-backed storage: it has to survive us, not the
// host, because the settings it speaks of do not survive the host either.

import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf } from '../common/index.ts';
import { draftOf, JournalError, lockJournal, unlockJournal } from './journal-lock.ts';

const SHARED_MEMORY = '/dev/shm';

const DOES = 'controls this VM';

export type End = 'source' | 'destination';
export type SettingValue = number | string | boolean;

/** One change: `name` is QEMU's own. `guest`: the guest's run state. `observer`: what a patched QEMU tells and holds. */
export interface JournalEntry {
  readonly type: 'parameter' | 'capability' | 'guest' | 'observer';
  readonly end: End;
  readonly name: string;
  readonly before: SettingValue;
  readonly written: SettingValue;
}

/** Which QEMU process a journal speaks of: a later process behind the same socket must not be touched. */
export interface QemuInstance {
  readonly end: End;
  /** As given on the command line; the guardian connects to it again. */
  readonly address: string;
  readonly uuid: string;
  /** Thread id of the first vCPU on QEMU's host: with the UUID it names this very process. */
  readonly vcpuThreadId: number;
  /** Start of that thread in clock ticks since boot, where it is on this host; null elsewhere. */
  readonly startTicks: number | null;
}

export interface JournalContent {
  readonly version: 1;
  readonly instances: readonly QemuInstance[];
  readonly insecure: boolean;
  readonly entries: readonly JournalEntry[];
}

/** An open journal. Every call is synchronous: what it says is on file when it returns. */
export class Journal {
  readonly path: string;
  readonly #entries: JournalEntry[];
  readonly #header: Omit<JournalContent, 'entries'>;

  private constructor(path: string, content: JournalContent) {
    this.path = path;
    const { entries, ...header } = content;
    this.#header = header;
    this.#entries = [...entries];
  }

  /** Where the journal of a VM is. */
  static pathOf(directory: string, [key]: readonly QemuInstance[]): string {
    if (key === undefined) throw new JournalError('a journal needs the QEMU that it speaks of');
    return join(directory, `${key.uuid}-${key.vcpuThreadId}-${key.startTicks ?? 0}.journal`);
  }

  /** Creates and locks the journal of a VM. @throws JournalLockedError when another live process holds it. */
  static create(directory: string, instances: readonly QemuInstance[], insecure: boolean): Journal {
    const path = Journal.pathOf(directory, instances);
    lockJournal(path, DOES);
    // A journal that nobody holds was left by a crash and not yet restored: its entries know the true "before".
    const left = existsSync(path) ? readJournal(path) : null;
    const entries = (left?.entries ?? []).filter((entry) =>
      sameInstance(
        left?.instances.find(({ end }) => end === entry.end),
        instances.find(({ end }) => end === entry.end),
      ),
    );
    const content: JournalContent = { version: 1, instances, insecure, entries };
    const journal = new Journal(path, content);
    journal.#rewrite();
    return journal;
  }

  /** Opens and locks an existing journal, to undo it. */
  static open(path: string): Journal {
    lockJournal(path, DOES);
    try {
      return new Journal(path, readJournal(path));
    } catch (error) {
      unlockJournal(path);
      throw error;
    }
  }

  /** Where QEMU and we share files while this journal speaks of it: memory, and gone with the journal. */
  get sharedDirectory(): string {
    return join(SHARED_MEMORY, `slackwater-${basename(this.path, '.journal')}`);
  }

  get content(): JournalContent {
    return { ...this.#header, entries: [...this.#entries] };
  }

  /** Writes an intended change down. Must return before the change is made. */
  append(entry: JournalEntry): void {
    appendFileSync(this.path, `${JSON.stringify(entry)}\n`);
    this.#entries.push(entry);
  }

  /** Forgets entries that were undone or found to be nobody's business of ours any more. */
  forget(done: (entry: JournalEntry) => boolean): void {
    const keep = this.#entries.filter((entry) => !done(entry));
    this.#entries.splice(0, this.#entries.length, ...keep);
    this.#rewrite();
  }

  /** Releases the lock; removes the file when nothing is left to undo, and the directory when it is empty. */
  close(): void {
    if (this.#entries.length === 0) {
      rmSync(this.sharedDirectory, { recursive: true, force: true });
      rmSync(this.path, { force: true });
    }
    unlockJournal(this.path);
  }

  #rewrite(): void {
    const lines = [this.#header, ...this.#entries].map((value) => JSON.stringify(value));
    writeFileSync(draftOf(this.path), `${lines.join('\n')}\n`, { mode: 0o600 });
    renameSync(draftOf(this.path), this.path);
  }
}

/** Whether both speak of the same QEMU process. */
export function sameInstance(a: QemuInstance | undefined, b: QemuInstance | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.uuid === b.uuid &&
    a.vcpuThreadId === b.vcpuThreadId &&
    a.startTicks === b.startTicks
  );
}

/** Reads a journal; a half-written last line (killed while appending: its change was not made yet) is left out. */
export function readJournal(path: string): JournalContent {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new JournalError(`cannot read the undo journal ${path}: ${messageOf(error)}`, { cause: error });
  }
  const lines = text.split('\n');
  lines.pop();
  const [first, ...rest] = lines;
  try {
    const header = JSON.parse(first ?? '') as Omit<JournalContent, 'entries'>;
    if ((header.version as number) !== 1) throw new Error(`version ${String(header.version)}`);
    return { ...header, entries: rest.map((line) => JSON.parse(line) as JournalEntry) };
  } catch (error) {
    throw new JournalError(`${path} is not an undo journal of version 1: ${messageOf(error)}`, {
      cause: error,
      remedy: 'undo it with the version of slackwater that wrote it, or delete it after checking the VM',
    });
  }
}
