// SPDX-License-Identifier: Apache-2.0
// The machine that results come from: an allow-list of facts, nothing of its names, users, addresses or environment.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { packageVersion } from '../../src/index.ts';
import type { Laboratory } from '../stage/laboratory.ts';

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

export function machineFacts(laboratory: Laboratory): MachineFacts {
  return {
    slackwater: packageVersion(),
    commit: firstLine('git', '-C', import.meta.dirname, 'rev-parse', '--short=12', 'HEAD'),
    cpu: cpus()[0]?.model ?? null,
    cores: cpus().length,
    memoryBytes: totalmem(),
    distribution: distribution(),
    kernel: release(),
    node: process.version,
    qemu: firstLine('qemu-system-x86_64', '--version'),
    accelerator: laboratory.accelerator.accelerator,
    acceleratorReason: laboratory.accelerator.reason,
    loadAtStart: loadavg()[0] ?? null,
    startedAt: new Date().toISOString(),
  };
}
