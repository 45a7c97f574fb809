// SPDX-License-Identifier: Apache-2.0
// Migration parameters and capabilities of one QEMU, changed in one way only: written into the undo journal, set, read
// back. Knows what should be in force, so that somebody else's change is noticed.

import { SlackwaterError } from '../common/index.ts';
import type { ParameterChange, ParameterValues } from '../model/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import type { End, Journal, SettingValue } from './journal.ts';

/** QEMU's names of the parameters in the model. */
export const PARAMETER_NAMES: Readonly<Record<keyof ParameterChange, string>> = {
  maxBandwidthBytesPerSec: 'max-bandwidth',
  maxPostcopyBandwidthBytesPerSec: 'max-postcopy-bandwidth',
  downtimeLimitMs: 'downtime-limit',
  availSwitchoverBandwidthBytesPerSec: 'avail-switchover-bandwidth',
  throttleTriggerPercent: 'throttle-trigger-threshold',
  throttleInitialPercent: 'cpu-throttle-initial',
  throttleIncrementPercent: 'cpu-throttle-increment',
  throttleMaxPercent: 'max-cpu-throttle',
  xbzrleCacheBytes: 'xbzrle-cache-size',
};

export type RawParameters = Readonly<Record<string, SettingValue>>;

/** QEMU took a setting without complaint and reports another value. */
export class SettingNotTakenError extends SlackwaterError {
  readonly code = 'ERR_SETTING_NOT_TAKEN';
}

export interface ForeignChange {
  readonly name: string;
  readonly ours: SettingValue;
  readonly found: SettingValue | undefined;
}

const QMP_TIMEOUT_MS = 5000;

/** All parameters of a QEMU by QEMU's names, scalar ones only. */
export async function readParameters(client: QmpClient, timeoutMs = QMP_TIMEOUT_MS): Promise<RawParameters> {
  const reply = await client.execute('query-migrate-parameters', undefined, { timeoutMs });
  return Object.fromEntries(
    Object.entries(reply as Record<string, unknown>).filter(
      (pair): pair is [string, SettingValue] => typeof pair[1] !== 'object' && pair[1] !== undefined,
    ),
  );
}

/** Capabilities by name. */
export async function readCapabilities(
  client: QmpClient,
  timeoutMs = QMP_TIMEOUT_MS,
): Promise<ReadonlyMap<string, boolean>> {
  const reply = await client.execute('query-migrate-capabilities', undefined, { timeoutMs });
  return new Map(reply.map(({ capability, state }) => [capability, state]));
}

function numberOrNull(value: SettingValue | undefined): number | null {
  return typeof value === 'number' ? value : null;
}

/** The model's view of raw parameters. */
export function toParameterValues(raw: RawParameters): ParameterValues {
  return Object.fromEntries(
    Object.entries(PARAMETER_NAMES).map(([key, name]) => [key, numberOrNull(raw[name])]),
  ) as unknown as ParameterValues;
}

/** A change by QEMU's names, whole numbers as QEMU wants them. */
export function toRawParameters(change: ParameterChange): Record<string, number> {
  const raw: Record<string, number> = {};
  for (const [key, name] of Object.entries(PARAMETER_NAMES)) {
    const value = change[key as keyof ParameterChange];
    if (value !== undefined) raw[name] = Math.round(value);
  }
  return raw;
}

export class Settings {
  readonly #client: QmpClient;
  readonly #end: End;
  readonly #journal: Journal;
  /** Parameters as they should be now: as read, with our changes on top. */
  #inForce: Record<string, SettingValue>;
  #capabilities: Map<string, boolean>;

  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    client: QmpClient,
    end: End,
    journal: Journal,
    parameters: RawParameters,
    capabilities: ReadonlyMap<string, boolean>,
  ) {
    this.#client = client;
    this.#end = end;
    this.#journal = journal;
    this.#inForce = { ...parameters };
    this.#capabilities = new Map(capabilities);
  }

  static async read(client: QmpClient, end: End, journal: Journal): Promise<Settings> {
    const [parameters, capabilities] = await Promise.all([readParameters(client), readCapabilities(client)]);
    return new Settings(client, end, journal, parameters, capabilities);
  }

  get parameters(): ParameterValues {
    return toParameterValues(this.#inForce);
  }

  capability(name: string): boolean {
    return this.#capabilities.get(name) ?? false;
  }

  offersCapability(name: string): boolean {
    return this.#capabilities.has(name);
  }

  /** Takes what is there now as the baseline, keeping nothing of ours in mind: for a migration that others start. */
  async rebase(): Promise<void> {
    const [parameters, capabilities] = await Promise.all([
      readParameters(this.#client),
      readCapabilities(this.#client),
    ]);
    this.#inForce = { ...parameters };
    this.#capabilities = new Map(capabilities);
  }

  /** Sets parameters by QEMU's names; what is in force already is not sent. @throws SettingNotTakenError */
  async setRaw(wanted: RawParameters): Promise<void> {
    // One after the other: each reads back what it has set.
    const turn = this.#last.then(() => this.#setNow(wanted));
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  async #setNow(wanted: RawParameters): Promise<void> {
    const changed = Object.entries(wanted).filter(([name, value]) => this.#inForce[name] !== value);
    if (changed.length === 0) return;
    for (const [name, written] of changed) {
      const before = this.#inForce[name] ?? '';
      this.#journal.append({ type: 'parameter', end: this.#end, name, before, written });
    }
    const change = Object.fromEntries(changed);
    await this.#client.execute('migrate-set-parameters', change, { timeoutMs: QMP_TIMEOUT_MS });
    Object.assign(this.#inForce, change);
    const found = await readParameters(this.#client);
    for (const [name, written] of changed) {
      if (found[name] !== written) {
        throw new SettingNotTakenError(
          `${name} was set to ${String(written)} on the ${this.#end}, QEMU reports ${String(found[name])}`,
          { remedy: 'see whether another tool sets the same parameter' },
        );
      }
    }
  }

  async set(change: ParameterChange): Promise<void> {
    await this.setRaw(toRawParameters(change));
  }

  /** Enables capabilities. Only possible while no migration runs. */
  async enable(names: readonly string[]): Promise<void> {
    const missing = names.filter((name) => this.#capabilities.get(name) !== true);
    if (missing.length === 0) return;
    for (const name of missing) {
      this.#journal.append({
        type: 'capability',
        end: this.#end,
        name,
        before: this.#capabilities.get(name) ?? false,
        written: true,
      });
    }
    await this.#client.execute(
      'migrate-set-capabilities',
      { capabilities: missing.map((capability) => ({ capability: capability as never, state: true })) },
      { timeoutMs: QMP_TIMEOUT_MS },
    );
    for (const name of missing) this.#capabilities.set(name, true);
  }

  /** Parameters that somebody else has changed since we last knew them. */
  async foreignChanges(): Promise<ForeignChange[]> {
    const found = await readParameters(this.#client);
    return Object.entries(this.#inForce)
      .filter(([name, ours]) => found[name] !== ours)
      .map(([name, ours]) => ({ name, ours, found: found[name] }));
  }
}
