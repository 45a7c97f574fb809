// SPDX-License-Identifier: Apache-2.0
// Two fake QEMUs that behave like a migration as far as a controller can tell by QMP: parameters, capabilities, rounds,
// switchover, both ends' run states. Small and quick: 40 MB of memory at 100 MB/s. Tests make them misbehave.

import type { QmpObject, QmpValue } from '../../../src/qmp/index.ts';
import { FakeQmpFailure, type FakeQmpHandler, FakeQmpServer } from './fake-qmp-server.ts';

const MEMORY_BYTES = 40e6;
const STEP_MS = 10;

const PARAMETERS: Readonly<Record<string, QmpValue>> = {
  'max-bandwidth': 134_217_728,
  'max-postcopy-bandwidth': 0,
  'downtime-limit': 300,
  'avail-switchover-bandwidth': 0,
  'tls-creds': '',
};

const CAPABILITIES = ['events', 'return-path', 'postcopy-ram', 'postcopy-preempt', 'multifd'];

export interface FakeQemuOptions {
  readonly role: 'source' | 'destination';
  readonly version?: readonly [number, number, number];
  readonly ramBytes?: number;
  readonly machine?: string;
  readonly threadId: number;
  readonly kvm?: boolean;
  readonly capabilities?: readonly string[];
}

export class FakeQemu {
  readonly server: FakeQmpServer;
  readonly parameters: Record<string, QmpValue> = { ...PARAMETERS };
  readonly capabilities: Map<string, boolean>;
  runStatus: string;
  migration = 'none';
  errorText: string | null = null;

  private constructor(server: FakeQmpServer, options: FakeQemuOptions) {
    this.server = server;
    this.runStatus = options.role === 'source' ? 'running' : 'inmigrate';
    this.capabilities = new Map((options.capabilities ?? CAPABILITIES).map((name) => [name, false]));
  }

  static async start(options: FakeQemuOptions): Promise<FakeQemu> {
    const server = await FakeQmpServer.listen();
    const qemu = new FakeQemu(server, options);
    const [major, minor, micro] = options.version ?? [10, 0, 2];
    const answers: Record<string, FakeQmpHandler> = {
      'query-uuid': () => ({ UUID: '00000000-0000-0000-0000-00000000000a' }),
      'query-cpus-fast': () => [{ 'thread-id': options.threadId, 'cpu-index': 0 }],
      'query-version': () => ({ qemu: { major, minor, micro }, package: '' }),
      'query-kvm': () => ({ enabled: options.kvm ?? true, present: true }),
      'query-status': () => ({ status: qemu.runStatus, running: qemu.runStatus === 'running' }),
      'query-migrate': () => qemu.queryMigrate(),
      'query-migrate-parameters': () => ({ ...qemu.parameters }),
      'query-migrate-capabilities': () =>
        [...qemu.capabilities].map(([capability, state]) => ({ capability, state })),
      'query-memory-size-summary': () => ({ 'base-memory': options.ramBytes ?? MEMORY_BYTES }),
      'qom-get': () => options.machine ?? 'pc-q35-10.0-machine',
      'query-pci': () => [],
      'qom-list': () => [],
      'query-qmp-schema': () => [
        { name: 'migrate-incoming', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '2' },
        { name: '1', 'meta-type': 'object', members: [{ name: 'uri', type: 'str' }] },
        { name: '2', 'meta-type': 'object', members: [] },
        { name: 'str', 'meta-type': 'builtin', 'json-type': 'string' },
      ],
      'migrate-set-parameters': (args) => {
        Object.assign(qemu.parameters, args);
        return {};
      },
      'migrate-set-capabilities': (args) => qemu.#setCapabilities(args),
      'migrate-incoming': () => {
        qemu.setMigration('setup');
        return {};
      },
      cont: () => {
        qemu.run();
        return {};
      },
      stop: () => {
        qemu.stop('paused');
        return {};
      },
    };
    for (const [name, handler] of Object.entries(answers)) server.handle(name, handler);
    return qemu;
  }

  get path(): string {
    return this.server.address.kind === 'unix' ? this.server.address.path : '';
  }

  /** Names of the commands that change something, in order of arrival. */
  get changes(): string[] {
    return this.server.received
      .map(({ name }) => name)
      .filter(
        (name) => !name.startsWith('query-') && !name.startsWith('qom-') && name !== 'qmp_capabilities',
      );
  }

  ram: QmpObject = {};

  queryMigrate(): QmpValue {
    if (this.migration === 'none') return {};
    const { ram, errorText } = this;
    return {
      status: this.migration,
      ...(errorText === null ? {} : { 'error-desc': errorText }),
      ...(Object.keys(ram).length === 0 ? {} : { ram }),
      ...(this.migration === 'completed' ? { 'total-time': 500, downtime: 1 } : {}),
    };
  }

  setMigration(status: string): void {
    this.migration = status;
    if (this.capabilities.get('events') === true)
      this.server.emit('MIGRATION', { status }, Date.now() * 1000);
  }

  stop(status: string): void {
    this.runStatus = status;
    this.server.emit('STOP', undefined, Date.now() * 1000);
  }

  run(): void {
    this.runStatus = 'running';
    this.server.emit('RESUME', undefined, Date.now() * 1000);
  }

  #setCapabilities(args: QmpObject): QmpValue {
    if (!['none', 'completed', 'failed', 'cancelled'].includes(this.migration)) {
      throw new FakeQmpFailure("There's a migration process in progress");
    }
    for (const { capability, state } of args['capabilities'] as unknown as {
      capability: string;
      state: boolean;
    }[]) {
      this.capabilities.set(capability, state);
    }
    return {};
  }
}

export interface FakePairOptions {
  /** Bytes dirty at each round boundary, whatever the round's length. */
  readonly hotBytes: number;
  readonly source?: Partial<FakeQemuOptions>;
  readonly destination?: Partial<FakeQemuOptions>;
}

/** A source and a destination joined by a link of 100 MB/s. */
export class FakePair {
  readonly source: FakeQemu;
  readonly destination: FakeQemu;
  readonly #hotBytes: number;
  #timer: NodeJS.Timeout | undefined;
  #remaining = MEMORY_BYTES;
  #transferred = 0;
  #round = 1;
  #postcopy = false;
  /** Page requests never answered, nothing sent, a thread in a write that only `yank` ends: a cut link. */
  stalled = false;

  private constructor(source: FakeQemu, destination: FakeQemu, hotBytes: number) {
    this.source = source;
    this.destination = destination;
    this.#hotBytes = hotBytes;
    const { server } = source;
    server.handle('migrate', () => {
      this.start();
      return {};
    });
    server.handle('migrate-start-postcopy', () => {
      this.#startPostcopy();
      return {};
    });
    server.handle('migrate_cancel', () => {
      this.#end('cancelled', 'failed');
      return {};
    });
    for (const end of [source, destination]) {
      end.server.handle('migrate-pause', () => {
        clearInterval(this.#timer);
        if (end === destination || !this.stalled) end.setMigration('postcopy-paused');
        return {};
      });
    }
    server.handle('yank', () => {
      if (source.migration === 'postcopy-active') source.setMigration('postcopy-paused');
      return {};
    });
  }

  static async start(options: FakePairOptions): Promise<FakePair> {
    const source = await FakeQemu.start({ role: 'source', threadId: 11, ...options.source });
    const destination = await FakeQemu.start({ role: 'destination', threadId: 22, ...options.destination });
    return new FakePair(source, destination, options.hotBytes);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([this.source.server.close(), this.destination.server.close()]);
  }

  /** Begins a migration, as the migrate command does. */
  start(): void {
    this.source.setMigration('setup');
    this.source.setMigration('active');
    this.destination.setMigration('active');
    this.#pass();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  #pass(): void {
    this.#publish();
    if (this.source.capabilities.get('events') === true) {
      this.source.server.emit('MIGRATION_PASS', { pass: this.#round }, Date.now() * 1000);
    }
  }

  #publish(): void {
    this.source.ram = {
      transferred: Math.round(this.#transferred),
      remaining: Math.round(this.#remaining),
      total: MEMORY_BYTES,
      duplicate: 0,
      'normal-bytes': Math.round(this.#transferred),
      mbps: 800,
      'dirty-sync-count': this.#round,
      'postcopy-requests': this.#postcopy ? 1 : 0,
      'page-size': 4096,
    };
  }

  #step(): void {
    const postcopyLimit = Number(this.source.parameters['max-postcopy-bandwidth']);
    const rate = this.#postcopy && postcopyLimit > 0 ? Math.min(100e6, postcopyLimit) : 100e6;
    const sent = this.stalled ? 0 : Math.min(this.#remaining, (rate * STEP_MS) / 1000);
    this.#remaining -= sent;
    this.#transferred += sent;
    if (this.#remaining > 0) {
      this.#publish();
      return;
    }
    if (this.#postcopy) {
      this.#end('completed', 'completed');
      return;
    }
    this.#round += 1;
    const isPaused = this.source.runStatus === 'paused';
    this.#remaining = isPaused ? 0 : this.#hotBytes;
    const limitMs = Number(this.source.parameters['downtime-limit']);
    if (this.#remaining / 100_000 < limitMs) {
      this.source.stop('postmigrate');
      this.#end('completed', 'completed');
      // A guest that was paused arrives paused.
      if (isPaused) this.destination.runStatus = 'paused';
      else this.destination.run();
      return;
    }
    this.#pass();
  }

  #startPostcopy(): void {
    this.#postcopy = true;
    this.source.stop('postmigrate');
    this.source.setMigration('postcopy-active');
    this.destination.setMigration('postcopy-active');
    this.destination.run();
    this.#publish();
  }

  #end(source: string, destination: string): void {
    clearInterval(this.#timer);
    this.#publish();
    this.destination.setMigration(destination);
    this.source.setMigration(source);
  }

  /** The destination's QEMU dies. */
  async killDestination(): Promise<void> {
    clearInterval(this.#timer);
    await this.destination.server.close();
    this.source.errorText = 'connection reset';
    this.source.setMigration(this.#postcopy ? 'postcopy-paused' : 'failed');
  }
}
