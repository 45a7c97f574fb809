// SPDX-License-Identifier: Apache-2.0
// The machines that results come from: an allow-list of facts, nothing of their names, users, addresses or environment.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { packageVersion } from '../../src/index.ts';
import type { HostFacts, RemoteLaboratory } from '../remote/index.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import { readPageReporting } from './page-reporting.ts';

export type MachineFacts = Readonly<Record<string, string | number | null>>;

function firstLine(program: string, ...args: string[]): string | null {
  try {
    return (
      execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0] ??
      null
    );
  } catch {
    return null;
  }
}

function distribution(): string | null {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** How this machine's TCP finds its rate; the testbed's namespaces take it over. */
function congestionControl(): string | null {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  } catch {
    return null;
  }
}

/** With `remote`, that of the controller and those of the experiment's hosts. */
export function machineFacts(laboratory: Laboratory, remote: RemoteLaboratory | null): MachineFacts {
  const { accelerator, reason } = (remote ?? laboratory).accelerator;
  return {
    slackwater: packageVersion(),
    commit: firstLine('git', '-C', import.meta.dirname, 'rev-parse', '--short=12', 'HEAD'),
    cpu: cpus()[0]?.model ?? null,
    cores: cpus().length,
    memoryBytes: totalmem(),
    distribution: distribution(),
    kernel: release(),
    node: process.version,
    qemu: remote === null ? firstLine('qemu-system-x86_64', '--version') : remote.facts.source.qemu,
    accelerator,
    acceleratorReason: reason,
    tcpCongestionControl: remote === null ? congestionControl() : null,
    freePageReporting: remote === null ? readPageReporting() : null,
    loadAtStart: loadavg()[0] ?? null,
    startedAt: new Date().toISOString(),
    ...(remote === null
      ? {}
      : {
          ...hostFacts('source', remote.facts.source),
          ...hostFacts('destination', remote.facts.destination),
          ...hostFacts('client', remote.facts.client),
        }),
  };
}

function hostFacts(role: string, { cpu, cores, memoryBytes, distribution, kernel }: HostFacts): MachineFacts {
  return {
    [`${role}Cpu`]: cpu,
    [`${role}Cores`]: cores,
    [`${role}MemoryBytes`]: memoryBytes,
    [`${role}Distribution`]: distribution,
    [`${role}Kernel`]: kernel,
  };
}
