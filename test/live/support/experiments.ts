// SPDX-License-Identifier: Apache-2.0
// Experiments as their users run them: the built command, judged by its exit code, what it says and what it leaves.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { packageRoot } from '../../../src/index.ts';
import { parseRunRecords, type RunRecord } from '../../../src/experiment/index.ts';
import { processesWithLabel } from '../../../testbed/host/process-identity.ts';
import { findLeftovers, reap } from '../../../testbed/index.ts';

export interface TestbedResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningTestbed {
  readonly child: ChildProcess;
  readonly ended: Promise<TestbedResult>;
  /** Resolves once a line on stderr matches, or the command is over. */
  readonly says: (pattern: RegExp) => Promise<void>;
}

/** Starts `slackwater-testbed ARGS`; ended with the test at the latest. */
export function startTestbed(test: Test, ...args: readonly string[]): RunningTestbed {
  const program = join(packageRoot(), 'dist', 'testbed', 'cli', 'main.js');
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const each of waiting) each();
  };
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    look();
  });
  const ended = new Promise<TestbedResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      resolve({ exitCode, signal, stdout, stderr: lines.join('\n') });
      look();
    });
  });
  test.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    says: (pattern) =>
      new Promise((resolve) => {
        const check = (): void => {
          const isOver = child.exitCode !== null || child.signalCode !== null;
          if (!isOver && !lines.some((line) => pattern.test(line))) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

export function runTestbed(test: Test, ...args: readonly string[]): Promise<TestbedResult> {
  return startTestbed(test, ...args).ended;
}

/** A folder of the test's own; testbeds whose runner was killed go with it. */
export function temporaryFolder(test: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-test-experiment-'));
  test.teardown(async () => {
    await reap();
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export function recordsIn(results: string): RunRecord[] {
  return parseRunRecords(readFileSync(join(results, 'runs.jsonl'), 'utf8'));
}

/** The processes that have a text in their command line, such as a path of the test's own. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

/** What the undo journals on this machine say; each names the monitors that it is for. */
function journals(): string[] {
  const folder = '/run/slackwater';
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readFileSync(join(folder, name), 'utf8')];
    } catch {
      // Its guardian has just removed it.
      return [];
    }
  });
}

async function leftNow(runnerPids: readonly number[], folder: string): Promise<string[]> {
  const isOurs = (name: string): boolean => runnerPids.some((pid) => name.includes(`lab-${pid}-`));
  const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []).filter(isOurs);
  const { rootInterfaces, rootQdiscs } = await findLeftovers('of-none');
  const processes = [...processesWith(folder), ...(await processesWithLabel(isOurs)).map(({ pid }) => pid)];
  return [
    ...namesIn('/run/netns').map((name) => `namespace ${name}`),
    ...namesIn('/run/slackwater-testbed').map((name) => `testbed ${name}`),
    ...[...new Set(processes)].map((pid) => `process ${pid}`),
    ...[...rootInterfaces, ...rootQdiscs],
    ...journals()
      .filter(isOurs)
      .map(() => 'an undo journal'),
  ];
}

/**
 * What runners with these pids have left on the machine, in words: their testbeds are named after them. What goes within ten
 * seconds by itself, such as a guardian at its work, is not left.
 */
export async function leftOnMachine(runnerPids: readonly number[], folder: string): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const left = await leftNow(runnerPids, folder);
    if (left.length === 0 || attempt >= 50) return left;
    await delay(200);
  }
}

/** The monitor of the QEMU in which a runner's present guest was booted, and the process itself; undefined without one. */
export function sourceQemuOf(runnerPid: number): { pid: number; monitorPath: string } | undefined {
  for (const pid of processesWith(`lab-${runnerPid}-`)) {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    const [, monitorPath] = /^qemu.*[\0,:=](\/[^\0,]*\/src-1\.monitor)/s.exec(command) ?? [];
    if (monitorPath !== undefined) return { pid, monitorPath };
  }
  return undefined;
}
