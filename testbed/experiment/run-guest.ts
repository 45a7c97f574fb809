// SPDX-License-Identifier: Apache-2.0
// The guest of a planned run: its size, the workload that its name stands for, and the load that comes from its client.

import { dirname, resolve } from 'node:path';
import type { PlannedRun, Workload } from '../../src/experiment/index.ts';
import type { GuestSpec } from '../guest/index.ts';
import type { KvloadSettings } from '../measure/index.ts';
import { readWorkload, readWorkloadFile, resolveWorkload } from '../workload/index.ts';

const MIB = 1024 * 1024;
/** So many blocks a second keep the disk under the check without loading it. */
const DISK_BLOCKS_PER_SEC = 20;

export interface RunGuest {
  readonly spec: Omit<GuestSpec, 'ip' | 'clientIp'>;
  readonly load?: KvloadSettings;
}

/** A file is found from the experiment's own place. @throws WorkloadError */
export function workloadOf(nameOrFile: string, experimentPath: string): Workload {
  return nameOrFile.endsWith('.yaml')
    ? readWorkloadFile(resolve(dirname(experimentPath), nameOrFile))
    : readWorkload(nameOrFile);
}

/** @throws WorkloadError where there is no such workload, or it does not fit the guest */
export function runGuest({ guest, seed }: PlannedRun, experimentPath: string): RunGuest {
  const memoryMib = guest.memoryBytes / MIB;
  const resolved = resolveWorkload(workloadOf(guest.workload, experimentPath), memoryMib);
  const spec = {
    memoryMib,
    vcpus: guest.vcpus,
    seed,
    work: true,
    diskBlocksPerSec: DISK_BLOCKS_PER_SEC,
    ...resolved.guest,
  };
  return { spec, ...(resolved.load === undefined ? {} : { load: resolved.load }) };
}
