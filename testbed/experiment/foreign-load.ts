// SPDX-License-Identifier: Apache-2.0
// CPU time that programs of others took on this machine while a run was measured. The kernel's own threads do not count:
// they carry the run's traffic.

import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessTimes {
  readonly pid: number;
  readonly parentPid: number;
  /** Of itself and of the children that it has waited for. */
  readonly ticks: number;
}

const KERNEL_THREADS_PID = 2;

/** Out of the text of /proc/PID/stat; the name in parentheses may hold anything. */
export function parseProcessTimes(pid: number, stat: string): ProcessTimes {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(1, 15)
    .map(Number);
  const ticks = fields.slice(10, 14).reduce((sum, each) => sum + each, 0);
  return { pid, parentPid: fields[0] ?? 0, ticks };
}

/** Sum over the processes that do not descend from `ownPid`, nor from the kernel. */
export function foreignTicksAmong(processes: readonly ProcessTimes[], ownPid: number): number {
  const parents = new Map(processes.map(({ pid, parentPid }) => [pid, parentPid]));
  const descendsFrom = (pid: number, ancestors: ReadonlySet<number>): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at !== 0; at = parents.get(at)) {
      if (ancestors.has(at)) return true;
    }
    return false;
  };
  const ours = new Set([ownPid, KERNEL_THREADS_PID]);
  return processes.filter(({ pid }) => !descendsFrom(pid, ours)).reduce((sum, { ticks }) => sum + ticks, 0);
}

/** At this moment, in clock ticks since each of them started: of use as a difference. */
export function readForeignTicks(): number {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseProcessTimes(Number(name), readFileSync(`/proc/${name}/stat`, 'utf8'))];
      } catch {
        // It has ended; whoever waits for it has its time.
        return [];
      }
    });
  return foreignTicksAmong(processes, process.pid);
}
