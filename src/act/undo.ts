// SPDX-License-Identifier: Apache-2.0
// Puts settings back from the undo journal: only where the present value is still one that we wrote. What somebody else
// has changed since is theirs, and is reported. Capabilities wait until no migration runs: QEMU refuses them before.

import { messageOf } from '../common/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { End, Journal, JournalEntry, SettingValue } from './journal.ts';
import { resumeGuest } from './guest-pause.ts';
import { endObserver } from './page-levers.ts';
import { readCapabilities, readParameters } from './settings.ts';

export interface UndoReport {
  /** "downtime-limit 1 -> 300 (source)" */
  readonly restored: readonly string[];
  /** In words: changed by somebody else, or refused by QEMU. */
  readonly leftAlone: readonly string[];
  /** Capabilities that QEMU will not take back while the migration runs; a paused guest that is being handed over. */
  readonly pending: readonly string[];
}

interface Setting {
  readonly type: JournalEntry['type'];
  readonly name: string;
  readonly before: SettingValue;
  readonly written: readonly SettingValue[];
}

/** The journal's entries of one end, one per setting: the first `before`, every value written since. */
export function settingsToUndo(entries: readonly JournalEntry[], end: End): Setting[] {
  const settings = new Map<string, Setting>();
  for (const entry of entries) {
    if (entry.end !== end) continue;
    const key = `${entry.type} ${entry.name}`;
    const known = settings.get(key);
    settings.set(key, {
      type: entry.type,
      name: entry.name,
      before: known?.before ?? entry.before,
      written: [...(known?.written ?? []), entry.written],
    });
  }
  return [...settings.values()];
}

const MIGRATION_RUNS = new Set([
  'setup',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'postcopy-recover-setup',
  'device',
  'pre-switchover',
  'cancelling',
  'wait-unplug',
]);

/** A QEMU that does not answer for so long (its main loop may wait for a page) is left to the guardian. */
const UNDO_TIMEOUT_MS = 2000;

/** Undoes one end. Never throws on QEMU's refusals: they are in the report; throws when the connection breaks. */
export async function undoEnd(client: QmpClient, end: End, journal: Journal): Promise<UndoReport> {
  const restored: string[] = [];
  const leftAlone: string[] = [];
  const pending: string[] = [];
  const todo = settingsToUndo(journal.content.entries, end);
  if (todo.length === 0) return { restored, leftAlone, pending };
  const options = { timeoutMs: UNDO_TIMEOUT_MS };
  const finish = (setting: Setting): void =>
    journal.forget(
      (entry) => entry.end === end && entry.type === setting.type && entry.name === setting.name,
    );

  if (end === 'source') {
    const guest = await resumeGuest(client, journal, UNDO_TIMEOUT_MS);
    if (guest === 'resumed') restored.push('the guest runs again (source)');
    if (guest === 'pending') pending.push('the paused guest');
    if (await endObserver(client, journal, UNDO_TIMEOUT_MS))
      restored.push('pages are not observed any more (source)');
  }
  const parameters = await readParameters(client, UNDO_TIMEOUT_MS);
  for (const setting of todo.filter(({ type }) => type === 'parameter')) {
    const present = parameters[setting.name] ?? '';
    if (present !== setting.before && !setting.written.includes(present)) {
      leftAlone.push(`${setting.name} on the ${end}: ${String(present)}, set by somebody else`);
    } else if (present !== setting.before) {
      try {
        await client.execute('migrate-set-parameters', { [setting.name]: setting.before }, options);
        restored.push(`${setting.name} ${String(present)} -> ${String(setting.before)} (${end})`);
      } catch (error) {
        if (client.state !== 'running') throw error;
        leftAlone.push(`${setting.name} on the ${end}: ${messageOf(error)}`);
      }
    }
    finish(setting);
  }

  const capabilities = todo.filter(({ type }) => type === 'capability');
  if (capabilities.length === 0) return { restored, leftAlone, pending };
  const { status } = await client.execute('query-migrate', undefined, options);
  const present = await readCapabilities(client, UNDO_TIMEOUT_MS);
  // One command for all of them: postcopy-preempt, say, may not stay on when postcopy-ram goes.
  const changes = capabilities.filter(
    ({ name, before }) => present.get(name) !== undefined && present.get(name) !== before,
  );
  if (changes.length > 0 && MIGRATION_RUNS.has(status ?? 'none')) {
    pending.push(...changes.map(({ name }) => name));
    return { restored, leftAlone, pending };
  }
  if (changes.length > 0) {
    try {
      const list = changes.map(({ name, before }) => ({ capability: name as never, state: before === true }));
      await client.execute('migrate-set-capabilities', { capabilities: list }, options);
      restored.push(
        ...changes.map(({ name, before }) => `${name} -> ${before === true ? 'on' : 'off'} (${end})`),
      );
    } catch (error) {
      if (client.state !== 'running') throw error;
      leftAlone.push(
        `capabilities ${changes.map(({ name }) => name).join(', ')} on the ${end}: ${messageOf(error)}`,
      );
    }
  }
  for (const setting of capabilities) finish(setting);
  return { restored, leftAlone, pending };
}
