// SPDX-License-Identifier: Apache-2.0
// Which process is which. A pid alone is reused by the kernel; a pid with its start time and the boot's id names one process
// for ever, so a stranger that got the pid later is never killed. Also finds processes by namespace and by label.

import { readFile, readdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SlackwaterError } from '../../src/index.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks between boot and the start of the process. */
  readonly startTicks: number;
  readonly bootId: string;
}

/** A process did not die of SIGKILL. */
export class StuckProcessError extends SlackwaterError {
  readonly code = 'ERR_TESTBED_STUCK_PROCESS';
}

/** The environment variable that marks every process that a testbed starts. Its value names testbed and creator. */
export const LABEL_VARIABLE = 'SLACKWATER_TESTBED_LABEL';

let cachedBootId: string | undefined;

/** The id of the running kernel's boot. */
export async function readBootId(): Promise<string> {
  cachedBootId ??= (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return cachedBootId;
}

/** Start ticks and state letter out of the text of /proc/PID/stat. The name in parentheses may itself hold both. */
export function parseProcStat(
  text: string,
): { readonly startTicks: number; readonly state: string } | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  const state = fields[0];
  return state === undefined || state === '' || !Number.isFinite(startTicks)
    ? undefined
    : { startTicks, state };
}

/** The identity of a running process; undefined when there is none (a zombie counts as gone). */
export async function readIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const parsed = parseProcStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
    if (parsed === undefined || parsed.state === 'Z' || parsed.state === 'X') return undefined;
    return { pid, startTicks: parsed.startTicks, bootId: await readBootId() };
  } catch {
    return undefined;
  }
}

/** The identity of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const own = await readIdentity(process.pid);
  if (own === undefined)
    throw new StuckProcessError('wanted this process in /proc, got nothing: is /proc mounted?');
  return own;
}

/** Whether that very process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await readIdentity(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

async function filterProcesses(test: (pid: number) => Promise<boolean>): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!(await test(pid))) continue;
    } catch {
      continue; // It went away while we looked.
    }
    const identity = await readIdentity(pid);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** The inode that names a network namespace, from its file; undefined when the file is absent or nothing is mounted there. */
export async function readNamespaceInode(path: string): Promise<bigint | undefined> {
  try {
    const [file, own] = await Promise.all([
      stat(path, { bigint: true }),
      stat('/proc/self/ns/net', { bigint: true }),
    ]);
    return file.dev === own.dev && file.ino !== own.ino ? file.ino : undefined;
  } catch {
    return undefined;
  }
}

/** Processes whose network namespace is one of these. */
export async function processesInNamespaces(inodes: ReadonlySet<bigint>): Promise<ProcessIdentity[]> {
  if (inodes.size === 0) return [];
  return await filterProcesses(async (pid) =>
    inodes.has((await stat(`/proc/${pid}/ns/net`, { bigint: true })).ino),
  );
}

/** Processes that carry a label which `matches` (its whole value). */
export async function processesWithLabel(matches: (label: string) => boolean): Promise<ProcessIdentity[]> {
  return await filterProcesses(async (pid) => {
    const environment = (await readFile(`/proc/${pid}/environ`, 'latin1')).split('\0');
    const entry = environment.find((variable) => variable.startsWith(`${LABEL_VARIABLE}=`));
    return entry !== undefined && matches(entry.slice(LABEL_VARIABLE.length + 1));
  });
}

/** The command line of a process, for messages. */
export async function readCommandLine(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Kills these very processes and waits until they are gone. @throws StuckProcessError when one survives `timeoutMs` */
export async function killAndWait(identities: readonly ProcessIdentity[], timeoutMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  let left = [...identities];
  for (;;) {
    const running: ProcessIdentity[] = [];
    for (const identity of left) if (await isRunning(identity)) running.push(identity);
    if (running.length === 0) return;
    if (performance.now() > deadlineMs) {
      const pids = running.map(({ pid }) => pid).join(', ');
      throw new StuckProcessError(
        `wanted process ${pids} dead ${timeoutMs} ms after SIGKILL, got it still running`,
        {
          remedy: 'look at its state in /proc/PID/stack; then try again: slackwater-testbed reap',
        },
      );
    }
    for (const { pid } of running) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone between the look and the kill.
      }
    }
    await delay(10);
    left = running;
  }
}
