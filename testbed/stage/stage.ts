// SPDX-License-Identifier: Apache-2.0
// A testbed with a guest on it: booted on one host, migrated to the other, as often as wanted.

import { copyFile, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CoherenceReport, GuestControl, type GuestSpec } from '../guest/index.ts';
import {
  createTestbed,
  type HypervisorName,
  type LinkProfile,
  type Qemu,
  run,
  type Testbed,
} from '../index.ts';
import { ensureAppImage, type GuestImage } from '../image/index.ts';
import { countNonzeroPages, type RunningKvload, startKvload, startProber } from '../measure/index.ts';
import { ENDPOINTS, namespaceOf, PREFIX_LENGTH } from '../net/plan.ts';
import { awaitGuest } from './await-guest.ts';
import { guestQemu } from './guest-qemu.ts';
import type { Laboratory } from './laboratory.ts';
import type { LoadOptions, MigrationStage, StageProber } from './migration-stage.ts';
import { migrationUri, warmBytes } from './migration-figures.ts';

export interface StageOptions {
  readonly laboratory: Laboratory;
  readonly guest: Omit<GuestSpec, 'ip' | 'clientIp'>;
  readonly link?: string | LinkProfile;
  readonly name?: string;
  readonly signal?: AbortSignal;
  /** Another QEMU than the machine's own. */
  readonly qemuPath?: string;
  /** The guest's memory in pages of 2 MiB. */
  readonly hugePages?: boolean;
}

export interface DestinationOptions {
  /** Another machine than the source's, for tests of a destination that cannot load the guest. */
  readonly machine?: string;
  readonly memoryMib?: number;
  readonly withDisk?: boolean;
  /** QEMU's -global: another value of a device's property than at the source. */
  readonly global?: string;
  /** Another QEMU than the stage's. */
  readonly qemuPath?: string;
}

const MIB = 1024 * 1024;

export class Stage implements MigrationStage, AsyncDisposable {
  readonly hasDisk = true;
  readonly lost = null;
  readonly testbed: Testbed;
  readonly guest: GuestSpec;
  readonly laboratory: Laboratory;
  readonly #image: GuestImage;
  readonly #qemuPath: string | undefined;
  readonly #hugePages: boolean;
  #source: Qemu | undefined;
  #destination: Qemu | undefined;
  #started = 0;

  private constructor(
    testbed: Testbed,
    laboratory: Laboratory,
    guest: GuestSpec,
    image: GuestImage,
    options: Pick<StageOptions, 'qemuPath' | 'hugePages'>,
  ) {
    this.testbed = testbed;
    this.laboratory = laboratory;
    this.guest = guest;
    this.#image = image;
    this.#qemuPath = options.qemuPath;
    this.#hugePages = options.hugePages === true;
  }

  static async create(options: StageOptions): Promise<Stage> {
    const { laboratory } = options;
    const { app } = options.guest;
    // The image of an application is built when it is first asked for.
    const image = app === undefined ? laboratory.image : await ensureAppImage(laboratory.image, app.name);
    const testbed = await createTestbed({
      ...(options.link === undefined ? {} : { link: options.link }),
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const guest = {
      ...options.guest,
      ip: `${ENDPOINTS.guest.ip}/${PREFIX_LENGTH}`,
      clientIp: ENDPOINTS.client.ip,
    };
    const stage = new Stage(testbed, laboratory, guest, image, options);
    if (app?.diskMib === undefined) return stage;
    try {
      await writeFile(stage.#appDiskPath, '', { mode: 0o600 });
      await truncate(stage.#appDiskPath, app.diskMib * MIB);
    } catch (error) {
      await testbed.down();
      throw error;
    }
    return stage;
  }

  /** The second disk, a sparse file that both hosts see, as the first. */
  get #appDiskPath(): string {
    return join(this.testbed.directory, 'app-disk.raw');
  }

  get #appDiskArgs(): string[] {
    if (this.guest.app?.diskMib === undefined) return [];
    return [
      ...['-blockdev', `driver=file,node-name=disk1-file,filename=${this.#appDiskPath}`],
      ...['-blockdev', 'driver=raw,node-name=disk1,file=disk1-file'],
      ...['-device', 'virtio-blk-pci,drive=disk1'],
    ];
  }

  /** The QEMU in which the guest runs, or ran last before it was migrated away. */
  get source(): Qemu {
    if (this.#source === undefined) throw new Error('no guest was booted on this stage');
    return this.#source;
  }

  get destination(): Qemu {
    if (this.#destination === undefined) throw new Error('no destination was started on this stage');
    return this.#destination;
  }

  /** Where the destination is to listen for the migration. */
  get uri(): string {
    return migrationUri(ENDPOINTS[this.destination.host].ip, this.#started);
  }

  async #start(
    host: HypervisorName,
    incoming: boolean,
    options: DestinationOptions & { gdb?: boolean },
  ): Promise<Qemu> {
    const guest = guestQemu(this.laboratory.accelerator, this.#image, this.guest);
    const qemuPath = options.qemuPath ?? this.#qemuPath;
    this.#started += 1;
    return this.testbed.startQemu({
      host,
      label: `${host}-${this.#started}`,
      incoming,
      ...guest,
      ...(options.memoryMib === undefined ? {} : { memoryMib: options.memoryMib }),
      ...(options.machine === undefined ? {} : { machine: options.machine }),
      ...(options.withDisk === false ? {} : { diskPath: this.testbed.diskPath }),
      ...(qemuPath === undefined ? {} : { qemuPath }),
      hugePages: this.#hugePages,
      extraArgs: [
        ...(guest.extraArgs ?? []),
        ...this.#appDiskArgs,
        ...(options.global === undefined ? [] : ['-global', options.global]),
      ],
      ...(options.gdb === true ? { debug: { gdb: true } } : {}),
    });
  }

  /**
   * Makes as much memory as the guest has present in this machine. Where the machine is a virtual one, its host takes back
   * what lies free for some seconds: on the reference machine touching a fresh GB takes 3.6 s then, 0.1 s otherwise, and a
   * destination would spend two fifths of a migration on that.
   */
  async warmMemory(): Promise<void> {
    const bytes = warmBytes(this.guest);
    await run([this.laboratory.tools.warmMemoryPath, String(bytes)], { timeoutMs: 60_000 });
  }

  /**
   * Boots the guest on `src` and waits until its memory is filled, its writer at work and its application, if it has one,
   * running. @throws GuestControlError
   */
  async boot(options: { gdb?: boolean } = {}): Promise<void> {
    await this.warmMemory();
    this.#source = await this.#start('src', false, options);
    await awaitGuest(this.#source.controlPath, this.guest);
  }

  /** Starts a QEMU that waits for the guest on the other host. */
  async addDestination(options: DestinationOptions = {}): Promise<Qemu> {
    await this.#stop(this.#destination);
    this.#destination = await this.#start(this.source.host === 'src' ? 'dst' : 'src', true, options);
    return this.#destination;
  }

  /** After a completed migration: the destination is where the guest is, the old source goes. */
  async swap(): Promise<void> {
    await this.#stop(this.#source);
    this.#source = this.#destination;
    this.#destination = undefined;
  }

  /** Ends both QEMUs; the network stays. */
  async clear(): Promise<void> {
    await this.#stop(this.#source);
    await this.#stop(this.#destination);
    this.#source = undefined;
    this.#destination = undefined;
  }

  async #stop(qemu: Qemu | undefined): Promise<void> {
    if (qemu === undefined) return;
    qemu.kill('SIGKILL');
    await qemu.exited;
  }

  /** Talks to the guest where it runs. */
  async withGuest<T>(qemu: Qemu, use: (control: GuestControl) => Promise<T>): Promise<T> {
    const control = await GuestControl.connect(qemu.controlPath);
    try {
      return await use(control);
    } finally {
      control.close();
    }
  }

  /** Lets the writer run for a while, so that each run starts in the same phase. */
  async settle(ms: number): Promise<void> {
    await delay(ms);
  }

  get monitors(): MigrationStage['monitors'] {
    return { source: this.source.qmpPath, destination: this.destination.qmpPath };
  }

  async countNonzeroPages(): Promise<number> {
    const { nonzeroPagesPath } = this.laboratory.tools;
    const { memoryMib } = this.guest;
    return (await countNonzeroPages({ nonzeroPagesPath, qemuPid: this.source.pid, memoryMib })).pagesNonzero;
  }

  async measureGoodput(): Promise<number> {
    return await this.testbed.measureGoodput();
  }

  async startProber(): Promise<StageProber> {
    const prober = await startProber({
      proberPath: this.laboratory.tools.proberPath,
      netns: namespaceOf(this.testbed.name, 'client'),
      guestIp: ENDPOINTS.guest.ip,
    });
    return {
      answered: async () => {
        await prober.answered();
      },
      stop: async () => {
        const report = await prober.stop();
        const clock = {
          fromMonotonicMs: (ms: number) => ms,
          fromRealtimeMs: (ms: number) => ms - report.realtimeOffsetMs,
          uncertaintyMs: null,
        };
        return { report, clock };
      },
    };
  }

  async startLoad({ settings, seed, signal }: LoadOptions): Promise<RunningKvload> {
    return await startKvload({
      ...settings,
      kvloadPath: this.laboratory.tools.kvloadPath,
      netns: namespaceOf(this.testbed.name, 'client'),
      serverIp: ENDPOINTS.guest.ip,
      seed,
      signal,
    });
  }

  async verifyGuest(where: 'source' | 'destination'): Promise<CoherenceReport> {
    return await this.withGuest(this[where], (guest) => guest.verify());
  }

  async readCpuLines(): Promise<readonly string[]> {
    return [await readFile('/proc/stat', 'utf8')];
  }

  async keepLogs(folder: string): Promise<void> {
    const names = await readdir(this.testbed.directory).catch((): string[] => []);
    for (const name of names.filter((each) => each.endsWith('.log'))) {
      await copyFile(join(this.testbed.directory, name), join(folder, name));
    }
  }

  async down(): Promise<void> {
    await this.testbed.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.testbed.down();
  }
}
