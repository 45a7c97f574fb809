// SPDX-License-Identifier: Apache-2.0
// Custody of other people's settings: the undo journal, the guardian that outlives us, and giving everything back. What
// `migrate` and `attach` open first and close last.

import {
  type Guardian,
  Journal,
  journalDirectory,
  type QemuInstance,
  startGuardian,
  undoEnd,
} from '../act/index.ts';
import { messageOf } from '../common/index.ts';
import type { Endpoint } from './endpoint.ts';

export interface CustodyOptions {
  readonly insecure: boolean;
  /** The slackwater program's own file, for the guardian to run; null: no guardian (tests of other things). */
  readonly program: string | null;
  readonly directory?: string;
}

export class Custody {
  readonly journal: Journal;
  readonly #guardian: Guardian | null;
  readonly #ends: readonly Endpoint[];

  private constructor(journal: Journal, guardian: Guardian | null, ends: readonly Endpoint[]) {
    this.journal = journal;
    this.#guardian = guardian;
    this.#ends = ends;
  }

  /** @throws JournalLockedError when another live process controls this VM */
  static open(ends: readonly Endpoint[], options: CustodyOptions): Custody {
    const instances: QemuInstance[] = ends.map(({ instance }) => instance);
    const directory = options.directory ?? journalDirectory();
    // The guardian first: killed at any moment after, we leave no lock and no journal behind.
    const guardian =
      options.program === null ? null : startGuardian(options.program, Journal.pathOf(directory, instances));
    try {
      return new Custody(Journal.create(directory, instances, options.insecure), guardian, ends);
    } catch (error) {
      void guardian?.dismiss();
      throw error;
    }
  }

  /** Undoes what can be undone now, on every end that still answers. Returns what was not put back, in words. */
  async undo(): Promise<string[]> {
    const notRestored: string[] = [];
    for (const { client, end } of this.#ends) {
      if (client.state !== 'running') {
        // Its QEMU has ended, or somebody cut us off: the guardian looks again after us.
        continue;
      }
      try {
        const report = await undoEnd(client, end, this.journal);
        notRestored.push(...report.leftAlone);
      } catch (error) {
        notRestored.push(`${end}: ${messageOf(error)}`);
      }
    }
    return notRestored;
  }

  /**
   * Undoes and lets go. What is still pending (an end that did not answer, capabilities of a migration that goes on) is
   * left to the guardian, which takes the journal over.
   */
  async close(): Promise<string[]> {
    const notRestored = await this.undo();
    const { entries } = this.journal.content;
    this.journal.close();
    for (const { client } of this.#ends) await client.close();
    if (entries.length === 0) await this.#guardian?.dismiss();
    else this.#guardian?.release();
    return notRestored;
  }
}
