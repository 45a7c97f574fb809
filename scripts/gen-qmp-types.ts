// SPDX-License-Identifier: Apache-2.0
// Writes src/qmp/generated/schema.ts: types of the commands and events below, as a real QEMU describes them.
//   node --import tsx scripts/gen-qmp-types.ts [--check] [--qemu PATH]
// --check writes nothing and fails when the committed file is not what this QEMU gives.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
// Not through index.ts: that needs the file which is made here.
import { connectQmp } from '../src/qmp/connect.ts';
import { QmpConnectError } from '../src/qmp/errors.ts';
import type { QmpSchema } from '../src/qmp/schema.ts';
import { emitTypes } from './gen-qmp-types.emit.ts';
import type { TypeSelection } from './gen-qmp-types.emit.ts';

const SELECTION: TypeSelection = {
  // The order matters: a type gets its name from the first path on which it is reached.
  commands: [
    'query-version',
    'query-status',
    'query-name',
    'query-uuid',
    'query-kvm',
    'query-target',
    'query-machines',
    'query-current-machine',
    'query-commands',
    'query-qmp-schema',
    'query-migrate',
    'query-migrate-parameters',
    'query-migrate-capabilities',
    'migrate',
    'migrate-incoming',
    'migrate-set-parameters',
    'migrate-set-capabilities',
    'migrate-start-postcopy',
    'migrate-continue',
    'migrate-pause',
    'migrate-recover',
    'migrate_cancel',
    'announce-self',
    'query-yank',
    'yank',
    'calc-dirty-rate',
    'query-dirty-rate',
    'query-vcpu-dirty-limit',
    'set-vcpu-dirty-limit',
    'cancel-vcpu-dirty-limit',
    'query-cpus-fast',
    'query-iothreads',
    'query-memory-size-summary',
    'query-memory-devices',
    'query-memdev',
    'query-chardev',
    'query-pci',
    'query-block',
    'qom-list',
    'qom-get',
    'qom-set',
    'device_add',
    'device_del',
    'trace-event-get-state',
    'trace-event-set-state',
    'human-monitor-command',
    'cont',
    'stop',
    'system_powerdown',
    'system_reset',
    'quit',
  ],
  events: [
    'MIGRATION',
    'MIGRATION_PASS',
    'UNPLUG_PRIMARY',
    'VFIO_MIGRATION',
    'STOP',
    'RESUME',
    'SUSPEND',
    'WAKEUP',
    'SHUTDOWN',
    'RESET',
    'POWERDOWN',
    'WATCHDOG',
    'GUEST_PANICKED',
    'GUEST_CRASHLOADED',
    'BLOCK_IO_ERROR',
    'DEVICE_DELETED',
    'DEVICE_UNPLUG_GUEST_ERROR',
    'MEMORY_FAILURE',
  ],
  // The schema masks the names of types. Those that a program may want to write down get theirs back here, by path.
  names: {
    'query-status:ret': 'StatusInfo',
    'query-status:ret.status': 'RunState',
    'query-migrate:ret': 'MigrationInfo',
    'query-migrate:ret.status': 'MigrationStatus',
    'query-migrate:ret.ram': 'MigrationRamStats',
    'query-migrate:ret.xbzrle-cache': 'MigrationXbzrleStats',
    'query-migrate:ret.vfio': 'MigrationVfioStats',
    'query-migrate:ret.socket-address[]': 'SocketAddress',
    'query-migrate:ret.socket-address[]#inet': 'InetSocketAddress',
    'query-migrate:ret.socket-address[]#unix': 'UnixSocketAddress',
    'query-migrate-parameters:ret': 'MigrationParameters',
    'query-migrate-capabilities:ret[]': 'MigrationCapabilityStatus',
    'query-migrate-capabilities:ret[].capability': 'MigrationCapability',
    'migrate:arg.channels[]': 'MigrationChannel',
    'migrate:arg.channels[].addr': 'MigrationAddress',
    'migrate-set-parameters:arg': 'MigrateSetParameters',
    'query-yank:ret[]': 'YankInstance',
    'query-dirty-rate:ret': 'DirtyRateInfo',
    'calc-dirty-rate:arg.mode': 'DirtyRateMeasureMode',
    'calc-dirty-rate:arg.calc-time-unit': 'TimeUnit',
    'query-cpus-fast:ret[]': 'CpuInfoFast',
    'query-memory-size-summary:ret': 'MemorySizeSummary',
    'query-pci:ret[]': 'PciInfo',
    'query-pci:ret[].devices[]': 'PciDeviceInfo',
    'query-pci:ret[].devices[].pci_bridge.bus.io_range': 'PciMemoryRange',
    'query-block:ret[]': 'BlockInfo',
    'query-block:ret[].inserted': 'BlockDeviceInfo',
    'qom-list:ret[]': 'ObjectPropertyInfo',
    'device_add:arg': 'DeviceAddArguments',
  },
  // Cut here, and typed as plain JSON: parts that are large and that nothing reads through these types.
  opaque: ['query-qmp-schema:ret[]', 'query-block:ret[].inserted.image'],
  // Integers that do reach beyond 2^53 in practice: guest addresses and masks. All others are typed `number`.
  wideIntegers: [
    'query-pci:ret[].devices[].pci_bridge.bus.io_range.base',
    'query-pci:ret[].devices[].pci_bridge.bus.io_range.limit',
    'query-pci:ret[].devices[].regions[].address',
    'query-pci:ret[].devices[].regions[].size',
    'query-memory-devices:ret[]#dimm.data.addr',
    'query-memory-devices:ret[]#virtio-pmem.data.memaddr',
    'query-memory-devices:ret[]#virtio-mem.data.memaddr',
    'GUEST_PANICKED:data.info#hyper-v.arg1',
    'GUEST_PANICKED:data.info#hyper-v.arg2',
    'GUEST_PANICKED:data.info#hyper-v.arg3',
    'GUEST_PANICKED:data.info#hyper-v.arg4',
    'GUEST_PANICKED:data.info#hyper-v.arg5',
    'GUEST_PANICKED:data.info#s390.psw-mask',
    'GUEST_PANICKED:data.info#s390.psw-addr',
  ],
  // Commands whose schema names only a few arguments and takes any others as well.
  openArguments: ['device_add'],
};

const TARGET = fileURLToPath(new URL('../src/qmp/generated/schema.ts', import.meta.url));

interface Described {
  readonly schema: QmpSchema;
  readonly version: string;
}

async function describeQemu(program: string): Promise<Described> {
  const folder = await mkdtemp(join(tmpdir(), 'slackwater-gen-'));
  const socket = join(folder, 'qmp');
  const machine = ['-machine', 'none', '-nodefaults', '-display', 'none', '-S'];
  const child = spawn(program, [...machine, '-qmp', `unix:${socket},server=on,wait=off`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const failure = new AbortController();
  child.once('error', (error) => failure.abort(error));
  child.once('exit', (code) => failure.abort(new Error(`${program} exited with status ${String(code)}`)));
  try {
    return await read(socket, AbortSignal.any([failure.signal, AbortSignal.timeout(30_000)]));
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

async function read(socket: string, signal: AbortSignal): Promise<Described> {
  for (;;) {
    try {
      const client = await connectQmp({ kind: 'unix', path: socket }, { signal });
      const { major, minor, micro } = client.greeting.version.qemu;
      const schema = await client.readSchema({ signal });
      await client.close();
      return { schema, version: `${major}.${minor}.${micro}` };
    } catch (error) {
      // QEMU needs a moment to create its socket.
      if (!(error instanceof QmpConnectError) || !['missing', 'refused'].includes(error.reason)) throw error;
      await delay(20);
      signal.throwIfAborted();
    }
  }
}

function fail(message: string): void {
  process.stderr.write(`gen-qmp-types: ${message}\n`);
  process.exitCode = 1;
}

const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    qemu: { type: 'string', default: 'qemu-system-x86_64' },
  },
});

try {
  const { schema, version } = await describeQemu(values.qemu);
  const style = await resolveConfig(TARGET);
  const text = await format(emitTypes(schema, version, SELECTION), { ...style, parser: 'typescript' });
  const committed = await readFile(TARGET, 'utf8').catch(() => undefined);
  const committedVersion = /QMP_TYPES_VERSION = '([^']+)'/.exec(committed ?? '')?.[1];
  if (!values.check) {
    await writeFile(TARGET, text);
    process.stdout.write(`wrote ${TARGET} from QEMU ${version}\n`);
  } else if (committed === text) {
    process.stdout.write(`${TARGET} is what QEMU ${version} gives\n`);
  } else if (committed !== undefined && committedVersion !== version) {
    fail(
      `cannot check: the committed file is from QEMU ${committedVersion ?? 'unknown'}, ${values.qemu} is ${version}; ` +
        'use --qemu PATH with the former, or run without --check to move to the latter',
    );
  } else {
    const remedy = 'run: node --import tsx scripts/gen-qmp-types.ts';
    fail(
      `${TARGET} ${committed === undefined ? 'is missing' : `is not what QEMU ${version} gives`}; ${remedy}`,
    );
  }
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
