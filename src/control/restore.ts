// SPDX-License-Identifier: Apache-2.0
// Undoes journals that a killed controller left, as the guardian, `slackwater restore` and the next command do.

import { existsSync } from 'node:fs';
import {
  abandonedJournals,
  type End,
  forgetPause,
  hasPausedGuest,
  isNetworkJournal,
  Journal,
  journalDirectory,
  JournalError,
  JournalLockedError,
  NetworkJournal,
  sameInstance,
  undoEnd,
  undoNetwork,
} from '../act/index.ts';
import { type Clock, messageOf, systemClock } from '../common/index.ts';
import { parseQmpAddress, QmpConnectError } from '../qmp/index.ts';
import { askEnd, judge } from './conclude.ts';
import { type Endpoint, openEndpoint, QUERY_TIMEOUT_MS, readInstance } from './endpoint.ts';

export interface RestoreReport {
  readonly path: string;
  readonly restored: readonly string[];
  readonly leftAlone: readonly string[];
  /** Could not be undone now: in words. The journal stays. */
  readonly pending: readonly string[];
}

/** Undoes one journal as far as it can be done now. @throws JournalLockedError when a live controller holds it */
export async function restoreJournal(path: string): Promise<RestoreReport> {
  return isNetworkJournal(path) ? await restoreNetwork(path) : await restoreGuest(path);
}

async function restoreNetwork(path: string): Promise<RestoreReport> {
  const journal = NetworkJournal.open(path);
  try {
    return { path, leftAlone: [], ...(await undoNetwork(journal)) };
  } finally {
    journal.close();
  }
}

async function restoreGuest(path: string): Promise<RestoreReport> {
  const journal = Journal.open(path);
  const restored: string[] = [];
  const leftAlone: string[] = [];
  const pending: string[] = [];
  try {
    const { instances, insecure } = journal.content;
    if (hasPausedGuest(journal) && (await settleHandedOver(journal))) {
      restored.push('the guest runs on the destination');
    }
    for (const instance of instances) {
      const { end, address } = instance;
      const forgetEnd = (): void => journal.forget((entry) => entry.end === end);
      try {
        const endpoint = await openEndpoint(end, address, { insecure });
        try {
          const found = await readInstance(
            endpoint.client,
            end,
            address,
            parseQmpAddress(address, { insecure }),
          );
          if (!sameInstance(found, instance)) {
            leftAlone.push(`the ${end}: another QEMU is behind ${address} now`);
            forgetEnd();
            continue;
          }
          const report = await undoEnd(endpoint.client, end, journal);
          restored.push(...report.restored);
          leftAlone.push(...report.leftAlone);
          pending.push(...report.pending.map((name) => `${name} on the ${end}: once the migration is over`));
        } finally {
          await endpoint.client.close();
        }
      } catch (error) {
        if (error instanceof QmpConnectError && ['missing', 'refused'].includes(error.reason)) {
          // That QEMU has ended, and its settings with it.
          forgetEnd();
        } else {
          pending.push(`the ${end} (${address}): ${messageOf(error)}`);
        }
      }
    }
  } finally {
    journal.close();
  }
  return { path, restored, leftAlone, pending };
}

/**
 * A guest that was paused by a controller which died before the hand-over was done: the destination has it, paused as it
 * came, and nobody else would resume it. Whether that is so, both ends say. True when the guest runs there.
 */
async function settleHandedOver(journal: Journal): Promise<boolean> {
  const { instances, insecure } = journal.content;
  const open = async (end: End): Promise<Endpoint | null> => {
    const instance = instances.find((each) => each.end === end);
    if (instance === undefined) return null;
    try {
      const endpoint = await openEndpoint(end, instance.address, { insecure });
      if (sameInstance(endpoint.instance, instance)) return endpoint;
      await endpoint.client.close();
    } catch {
      // What cannot be asked settles nothing.
    }
    return null;
  };
  const [source, destination] = await Promise.all([open('source'), open('destination')]);
  try {
    if (source === null || destination === null) return false;
    const verdict = judge({
      source: await askEnd(source.client, source.address),
      destination: await askEnd(destination.client, destination.address),
      usedPostcopy: false,
      destinationRan: false,
      guestPaused: true,
      because: '',
    });
    if (verdict === 'resume-destination') {
      await destination.client.execute('cont', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
    } else if (typeof verdict !== 'object' || verdict.kind !== 'completed') {
      return false;
    }
    forgetPause(journal);
    return true;
  } finally {
    await source?.client.close();
    await destination?.client.close();
  }
}

const RETRY_MS = 500;
const MAX_RETRY_MS = 5000;

/** As the guardian does: again and again until nothing is pending any more. */
export async function restoreUntilDone(path: string, clock: Clock = systemClock): Promise<RestoreReport> {
  const restored: string[] = [];
  for (let retryMs = RETRY_MS; ; retryMs = Math.min(MAX_RETRY_MS, retryMs * 1.5)) {
    const report = await restoreIfFree(path);
    if (report === 'gone') return { path, restored, leftAlone: [], pending: [] };
    if (report !== 'held') {
      restored.push(...report.restored);
      if (report.pending.length === 0) return { ...report, restored };
    }
    await clock.sleep(retryMs);
  }
}

/** `held`: somebody else is at it. `gone`: somebody else has done it. */
async function restoreIfFree(path: string): Promise<RestoreReport | 'held' | 'gone'> {
  try {
    return await restoreJournal(path);
  } catch (error) {
    if (error instanceof JournalLockedError) return 'held';
    if (error instanceof JournalError && !existsSync(path)) return 'gone';
    throw error;
  }
}

/** Undoes every journal on this host that no live process holds. */
export async function restoreAbandoned(directory = journalDirectory()): Promise<RestoreReport[]> {
  const reports: RestoreReport[] = [];
  for (const path of abandonedJournals(directory)) {
    const report = await restoreIfFree(path);
    if (typeof report !== 'string') reports.push(report);
  }
  return reports;
}

/** A report's lines for people. */
export function describeReport(report: RestoreReport): string[] {
  return [
    ...report.restored.map((text) => `restored ${text}`),
    ...report.leftAlone.map((text) => `left alone: ${text}`),
    ...report.pending.map((text) => `pending: ${text}`),
  ];
}
