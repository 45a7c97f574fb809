// SPDX-License-Identifier: Apache-2.0
// A workload on a guest of a given size: what the guest is to do, and what its client.

import {
  amountBytes,
  type AppName,
  type AppTemplate,
  ownMib,
  patternOf,
  type Workload,
  WorkloadError,
  type WritePattern,
} from '../../src/experiment/index.ts';
import type { GuestApp, GuestSpec } from '../guest/index.ts';
import { APP_PORTS, formatPattern } from '../guest/index.ts';
import type { KvloadSettings } from '../measure/kvload.ts';

const MIB = 1024 * 1024;

/** MiB of an application's image in the guest's memory, which is its file system: rounded up. */
const IMAGE_MIB: Readonly<Record<AppName, number>> = {
  redis: 20,
  memcached: 10,
  sysbench: 22,
  fio: 90,
  'stress-ng': 36,
  'build-mix': 0,
};
/** What a server keeps of its own for each record, and what programs need besides what they work on. */
const RECORD_OVERHEAD_BYTES = 200;
const PROGRAM_MIB = 24;

export interface ResolvedWorkload {
  readonly guest: Pick<GuestSpec, 'pattern'> & Partial<Pick<GuestSpec, 'arenaMaxMib' | 'app'>>;
  /** For `startKvload`; absent where no client is needed. */
  readonly load?: KvloadSettings;
}

/** The furthest byte of the checked memory that a pattern writes. */
function reachBytes(pattern: WritePattern): number {
  if (pattern.kind === 'idle') return 0;
  if (pattern.kind === 'phases') return Math.max(...pattern.phases.map((phase) => reachBytes(phase.pattern)));
  return (pattern.offsetBytes ?? 0) + pattern.setBytes;
}

interface ResolvedApp {
  readonly app: GuestApp;
  readonly needMib: number;
  readonly load?: KvloadSettings;
}

function appOf(template: AppTemplate, memoryBytes: number): ResolvedApp {
  const mibOf = (amount: Parameters<typeof amountBytes>[0]): number =>
    Math.max(1, Math.floor(amountBytes(amount, memoryBytes) / MIB));
  const { name } = template;
  switch (name) {
    case 'redis':
    case 'memcached': {
      const { memory, load } = template;
      const port = APP_PORTS[name] ?? 0;
      const memoryMib = mibOf(memory);
      return {
        app: { name, settings: { port, memory_mib: memoryMib } },
        needMib: memoryMib,
        load: { protocol: name, port, ...load },
      };
    }
    case 'sysbench': {
      const blockKib = Math.max(4, Math.floor(amountBytes(template.block, memoryBytes) / 1024));
      const blocksPerSec = Math.max(1, Math.round(template.rateBytesPerSec / (blockKib * 1024)));
      const access = template.access === 'seq' ? 'seq' : 'rnd';
      return {
        app: { name, settings: { block_kib: blockKib, blocks_per_sec: blocksPerSec, access } },
        needMib: Math.ceil(blockKib / 1024),
      };
    }
    case 'fio': {
      const setMib = mibOf(template.set);
      const settings = {
        set_mib: setMib,
        rate_kib: Math.max(8, Math.round(template.rateBytesPerSec / 1024)),
        read_percent: Math.round(template.readRatio * 100),
      };
      // The journal and the file system's own blocks are beside the file.
      return { app: { name, settings, diskMib: setMib + 64 }, needMib: setMib };
    }
    case 'stress-ng': {
      const setMib = mibOf(template.set);
      return { app: { name, settings: { set_mib: setMib, method: template.method } }, needMib: setMib };
    }
    case 'build-mix': {
      const setMib = mibOf(template.set);
      return { app: { name, settings: { set_mib: setMib, jobs: template.jobs } }, needMib: setMib };
    }
  }
}

/** Throws what is wrong with a workload on a guest of this size. */
function refuse(workload: Workload, memoryMib: number, message: string): never {
  const problem = { line: 1, path: '', message: `on a guest of ${memoryMib} MiB: ${message}` };
  throw new WorkloadError(
    `${workload.name}.yaml`,
    [problem],
    'give the guest more memory, or the workload less',
  );
}

/**
 * What a guest of this size is to do, and its client. Shares are of the checked memory for a pattern, of the guest's memory
 * for an application. @throws WorkloadError when the guest has not enough memory; GuestSpecError
 */
export function resolveWorkload(workload: Workload, memoryMib: number): ResolvedWorkload {
  const memoryBytes = memoryMib * MIB;
  const freeMib = memoryMib - ownMib(memoryMib);
  const resolved = workload.app === undefined ? undefined : appOf(workload.app, memoryBytes);
  const arenaMib =
    workload.arena === undefined ? freeMib : Math.floor(amountBytes(workload.arena, memoryBytes) / MIB);
  if (arenaMib < 2) refuse(workload, memoryMib, `its kernel leaves ${arenaMib} MiB to check`);
  const pattern = patternOf(workload.pattern, arenaMib * MIB);
  formatPattern(pattern); // checks all ranges
  if (reachBytes(pattern) > arenaMib * MIB) {
    const reachMib = Math.ceil(reachBytes(pattern) / MIB);
    refuse(workload, memoryMib, `its pattern wants ${reachMib} MiB, there are ${arenaMib} MiB to check`);
  }
  if (resolved === undefined) return { guest: { pattern } };
  const { app, needMib, load } = resolved;
  const wantedMib = arenaMib + needMib + IMAGE_MIB[app.name] + PROGRAM_MIB;
  if (wantedMib > freeMib) {
    refuse(
      workload,
      memoryMib,
      `${app.name} and the checked memory want ${wantedMib} MiB, there are ${freeMib} MiB`,
    );
  }
  if (load !== undefined) {
    const recordsMib = Math.ceil((load.records * (load.valueBytes + RECORD_OVERHEAD_BYTES)) / MIB);
    if (recordsMib > needMib) {
      refuse(workload, memoryMib, `its records take ${recordsMib} MiB, ${app.name} may take ${needMib} MiB`);
    }
  }
  return { guest: { pattern, arenaMaxMib: arenaMib, app }, ...(load === undefined ? {} : { load }) };
}
