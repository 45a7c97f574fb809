// SPDX-License-Identifier: Apache-2.0
// A testbed with several guests at once, booted on one host and migrated to the other by one command.

import { setTimeout as delay } from 'node:timers/promises';
import { type CoherenceReport, GuestControl, type GuestSpec } from '../guest/index.ts';
import {
  type Argv,
  createTestbed,
  type HypervisorName,
  type LinkProfile,
  type Qemu,
  run,
  type Testbed,
} from '../index.ts';
import { ENDPOINTS, guestEndpoint, guestTap, HOST_NIC, namespaceOf, PREFIX_LENGTH } from '../net/plan.ts';
import { awaitGuest } from './await-guest.ts';
import { guestQemu } from './guest-qemu.ts';
import type { Laboratory } from './laboratory.ts';
import { migrationUri, warmBytes } from './migration-figures.ts';

export interface GangGuest {
  /** Of a-z, 0-9 and -. */
  readonly name: string;
  readonly spec: Omit<GuestSpec, 'ip' | 'clientIp'>;
  /** The plan file's keys of this VM: priority, deadline and so on. */
  readonly plan: Readonly<Record<string, string>>;
}

export interface GangStageOptions {
  readonly laboratory: Laboratory;
  readonly guests: readonly GangGuest[];
  readonly link?: string | LinkProfile;
  readonly neighbours?: boolean;
  readonly signal?: AbortSignal;
  /** Another QEMU than the machine's own. */
  readonly qemuPath?: string;
}

/** One guest, with both of its QEMUs. */
export interface StagedGuest {
  readonly guest: GangGuest;
  readonly ip: string;
  readonly tap: string;
  readonly uri: string;
  readonly source: Qemu;
  readonly destination: Qemu;
}

export class GangStage implements AsyncDisposable {
  readonly testbed: Testbed;
  readonly #options: GangStageOptions;
  #staged: StagedGuest[] = [];

  private constructor(testbed: Testbed, options: GangStageOptions) {
    this.testbed = testbed;
    this.#options = options;
  }

  static async create(options: GangStageOptions): Promise<GangStage> {
    const testbed = await createTestbed({
      guests: options.guests.length,
      neighbours: options.neighbours === true,
      ...(options.link === undefined ? {} : { link: options.link }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return new GangStage(testbed, options);
  }

  get staged(): readonly StagedGuest[] {
    return this.#staged;
  }

  /** Boots all guests on `src`, one after the other, and starts a destination for each on `dst`. */
  async boot(): Promise<void> {
    const { laboratory, guests } = this.#options;
    const bytes = guests.reduce((sum, { spec }) => sum + 2 * warmBytes(spec), 0);
    await run([laboratory.tools.warmMemoryPath, String(bytes)], { timeoutMs: 120_000 });
    for (const [index, guest] of guests.entries()) {
      const spec = this.#specOf(index, guest);
      const source = await this.#start('src', index, guest, false);
      await awaitGuest(source.controlPath, spec);
      const destination = await this.#start('dst', index, guest, true);
      this.#staged.push({
        guest,
        ip: guestEndpoint(index).ip,
        tap: guestTap(index),
        uri: migrationUri(ENDPOINTS.dst.ip, index),
        source,
        destination,
      });
    }
  }

  #specOf(index: number, { spec }: GangGuest): GuestSpec {
    return {
      ...spec,
      ip: `${guestEndpoint(index).ip}/${PREFIX_LENGTH}`,
      clientIp: ENDPOINTS.client.ip,
    };
  }

  async #start(host: HypervisorName, index: number, guest: GangGuest, incoming: boolean): Promise<Qemu> {
    const { laboratory, qemuPath } = this.#options;
    return await this.testbed.startQemu({
      host,
      label: `${host}-${guest.name}`,
      incoming,
      index,
      ...guestQemu(laboratory.accelerator, laboratory.image, this.#specOf(index, guest)),
      ...(qemuPath === undefined ? {} : { qemuPath }),
    });
  }

  async settle(ms: number): Promise<void> {
    await delay(ms);
  }

  /**
   * The plan file for `slackwater gang`. `settings` are its keys beside hosts and VMs, as YAML values (JSON is YAML).
   */
  planText(settings: Readonly<Record<string, unknown>>): string {
    const link = `${this.testbed.link.rateBytesPerSec * 8}bit`;
    const host = (name: HypervisorName) => ({
      nic: HOST_NIC,
      link,
      namespace: namespaceOf(this.testbed.name, name),
      address: ENDPOINTS[name].ip,
    });
    const vms = this.#staged.map(({ guest, source, destination, uri, tap }) => ({
      name: guest.name,
      source: source.qmpPath,
      destination: destination.qmpPath,
      to: uri,
      tap,
      ...guest.plan,
    }));
    return JSON.stringify(
      { schema: 'slackwater/gang@1', source: host('src'), destination: host('dst'), ...settings, vms },
      null,
      2,
    );
  }

  /** Checks a guest where it runs. */
  async verify(
    { source, destination }: StagedGuest,
    where: 'source' | 'destination',
  ): Promise<CoherenceReport> {
    const control = await GuestControl.connect((where === 'source' ? source : destination).controlPath);
    try {
      return await control.verify();
    } finally {
      control.close();
    }
  }

  /** What shapes and counts at a host's NIC, as its tools tell it without counters: for a comparison of before and after. */
  async networkOf(host: HypervisorName): Promise<string> {
    const tools: readonly Argv[] = [
      ['tc', 'qdisc', 'show', 'dev', HOST_NIC],
      ['tc', 'class', 'show', 'dev', HOST_NIC],
      ['tc', 'filter', 'show', 'dev', HOST_NIC],
      ['nft', '-j', 'list', 'tables'],
      ['ip', '-br', 'link', 'show', 'type', 'ifb'],
    ];
    const texts = await Promise.all(tools.map(async (argv) => (await this.testbed.runOn(host, argv)).stdout));
    return texts.join('\n');
  }

  async down(): Promise<void> {
    await this.testbed.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}
