// SPDX-License-Identifier: Apache-2.0
// Three real machines with a guest on them: booted on one, migrated to the other, asked from the third. The guest has no
// disk, for the machines share no storage.

import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MigrationHost } from '../../src/experiment/index.ts';
import { type CoherenceReport, GuestControl, type GuestSpec } from '../guest/index.ts';
import { ensureAppImage } from '../image/index.ts';
import { parseNonzeroPages, type RunningKvload, startKvload, startProber } from '../measure/index.ts';
import { measureGoodputTo } from '../net/goodput.ts';
import { awaitGuest } from '../stage/await-guest.ts';
import { guestQemu } from '../stage/guest-qemu.ts';
import { migrationUri, warmBytes } from '../stage/migration-figures.ts';
import type { LoadOptions, MigrationStage, StageProber } from '../stage/migration-stage.ts';
import { measureOffset, offsetBetween, realtimeLessMonotonicMs } from './clock-offset.ts';
import { guestMac } from './guest-nic.ts';
import { type ByRole, claimHosts, releaseHosts } from './hosts.ts';
import { type Hypervisor, prepareHypervisor } from './hypervisor.ts';
import type { Keeper } from './keeper.ts';
import type { RemoteLaboratory } from './remote-laboratory.ts';
import { launchQemu, type RemoteQemu } from './remote-qemu.ts';

export interface RemoteStageOptions {
  readonly remote: RemoteLaboratory;
  readonly guest: Omit<GuestSpec, 'ip' | 'clientIp'>;
  /** A link's name or rate, or `native`: as it is. */
  readonly link: string;
  readonly signal?: AbortSignal;
}

const WARM_TIMEOUT_MS = 60_000;

let stages = 0;

function ipOf(addressInNetwork: string): string {
  return addressInNetwork.replace(/\/.*/, '');
}

export class RemoteStage implements MigrationStage {
  readonly hasDisk = false;
  readonly guest: GuestSpec;
  readonly lost: AbortSignal;
  readonly #remote: RemoteLaboratory;
  readonly #run = `slackwater-${process.pid}-${++stages}`;
  readonly #keepers: ByRole<Keeper>;
  readonly #source: Hypervisor;
  readonly #destination: Hypervisor;
  readonly #launched = new Map<'source' | 'destination', RemoteQemu>();
  #started = 0;
  #down: Promise<void> | undefined;

  private constructor(
    remote: RemoteLaboratory,
    guest: GuestSpec,
    keepers: ByRole<Keeper>,
    source: Hypervisor,
    destination: Hypervisor,
  ) {
    this.#remote = remote;
    this.guest = guest;
    this.#keepers = keepers;
    this.#source = source;
    this.#destination = destination;
    this.lost = AbortSignal.any(Object.values(keepers).map(({ lost }) => lost));
  }

  /** Claims the hosts and makes network and rate; on rejection nothing of it is left there. @throws HostUnusableError */
  static async create(options: RemoteStageOptions): Promise<RemoteStage> {
    const { remote, signal } = options;
    const { hosts, laboratory } = remote;
    const { app } = options.guest;
    const image = app === undefined ? laboratory.image : await ensureAppImage(laboratory.image, app.name);
    const guest = {
      ...options.guest,
      diskBlocksPerSec: 0,
      ip: hosts.guest.address,
      clientIp: hosts.client.address,
    };
    const keepers = await claimHosts(hosts, signal);
    try {
      const needs = {
        image,
        tools: laboratory.tools,
        guestMac: guestMac(ipOf(hosts.guest.address)),
        link: options.link,
        signal,
      };
      const prepare = (keeper: Keeper, host: MigrationHost): Promise<Hypervisor> =>
        prepareHypervisor(keeper, host, needs);
      const [source, destination] = await Promise.all([
        prepare(keepers.source, hosts.source),
        prepare(keepers.destination, hosts.destination),
      ]);
      return new RemoteStage(remote, guest, keepers, source, destination);
    } catch (error) {
      await releaseHosts(Object.values(keepers));
      throw error;
    }
  }

  get monitors(): MigrationStage['monitors'] {
    const address = (where: 'source' | 'destination'): string => this.#qemu(where).monitorAddress;
    return { source: address('source'), destination: address('destination') };
  }

  get uri(): string {
    return migrationUri(this.#destination.host.address, this.#started);
  }

  async boot(): Promise<void> {
    await this.warmMemory();
    await this.#launch('source', this.#source, false);
    await awaitGuest(this.#qemu('source').controlPath, this.guest);
  }

  async addDestination(): Promise<void> {
    await this.#launch('destination', this.#destination, true);
  }

  async settle(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.lost }).catch(() => this.lost.throwIfAborted());
  }

  async warmMemory(): Promise<void> {
    const bytes = String(warmBytes(this.guest));
    await Promise.all(
      [this.#source, this.#destination].map(({ keeper, warmMemoryPath }) =>
        keeper.run('warm-memory', [warmMemoryPath, bytes], { timeoutMs: WARM_TIMEOUT_MS }),
      ),
    );
  }

  async countNonzeroPages(): Promise<number> {
    const { keeper, nonzeroPagesPath } = this.#source;
    const memoryBytes = this.guest.memoryMib * 1024 * 1024;
    const said = await keeper.run('nonzero-pages', [
      nonzeroPagesPath,
      String(this.#qemu('source').pid),
      String(memoryBytes),
    ]);
    return parseNonzeroPages(said).pagesNonzero;
  }

  async measureGoodput(): Promise<number> {
    return await measureGoodputTo(this.#destination.host.address, {
      startServer: (argv, options) => this.#destination.keeper.start('iperf3-server', argv, options),
      runClient: (argv, options) => this.#source.keeper.run('iperf3-client', argv, options),
    });
  }

  async startProber(): Promise<StageProber> {
    const { client } = this.#keepers;
    const [proberPath = ''] = await client.host.copy([this.#remote.laboratory.tools.proberPath]);
    const before = await measureOffset(client.host);
    const prober = await startProber({
      proberPath,
      guestIp: this.#guestIp,
      start: (argv, options) => client.start('prober', argv, options),
    });
    return {
      answered: async () => {
        await prober.answered();
      },
      stop: async () => {
        const report = await prober.stop();
        const { offsetMs, uncertaintyMs } = offsetBetween(before, await measureOffset(client.host));
        const fromRealtimeMs = (ms: number): number => ms + offsetMs - report.realtimeOffsetMs;
        const ourRealtimeMs = realtimeLessMonotonicMs();
        const fromMonotonicMs = (ms: number): number => fromRealtimeMs(ms + ourRealtimeMs);
        return { report, clock: { fromRealtimeMs, fromMonotonicMs, uncertaintyMs } };
      },
    };
  }

  async startLoad({ settings, seed, signal }: LoadOptions): Promise<RunningKvload> {
    const { client } = this.#keepers;
    const [kvloadPath = ''] = await client.host.copy([this.#remote.laboratory.tools.kvloadPath], signal);
    return await startKvload({
      ...settings,
      kvloadPath,
      serverIp: this.#guestIp,
      seed,
      signal,
      start: (argv, options) => client.start('kvload', argv, options),
    });
  }

  async verifyGuest(where: 'source' | 'destination'): Promise<CoherenceReport> {
    const control = await GuestControl.connect(this.#qemu(where).controlPath);
    try {
      return await control.verify();
    } finally {
      control.close();
    }
  }

  async readCpuLines(): Promise<readonly string[]> {
    const hosts = [this.#source.keeper.host, this.#destination.keeper.host];
    return await Promise.all(hosts.map((host) => host.run(['cat', '/proc/stat'])));
  }

  async keepLogs(folder: string): Promise<void> {
    for (const [where, { logPaths }] of this.#launched) {
      const { host } = this.#keepers[where];
      for (const path of logPaths)
        await writeFile(join(folder, basename(path)), await host.run(['cat', path]));
    }
  }

  down(): Promise<void> {
    return (this.#down ??= releaseHosts(Object.values(this.#keepers)));
  }

  get #guestIp(): string {
    return ipOf(this.#remote.hosts.guest.address);
  }

  #qemu(where: 'source' | 'destination'): RemoteQemu {
    const qemu = this.#launched.get(where);
    if (qemu === undefined) throw new Error(`no QEMU was started on the ${where}`);
    return qemu;
  }

  async #launch(where: 'source' | 'destination', at: Hypervisor, incoming: boolean): Promise<void> {
    this.#started += 1;
    const qemu = await launchQemu(at.keeper, {
      run: this.#run,
      label: `${where}-${this.#started}`,
      incoming,
      devicePath: at.devicePath,
      mac: guestMac(this.#guestIp),
      guest: {
        ...guestQemu(this.#remote.accelerator, at, this.guest),
        qemuPath: at.host.qemu,
      },
    });
    this.#launched.set(where, qemu);
  }
}
