// SPDX-License-Identifier: Apache-2.0
// Where undo journals are, and whose each one is: a lock file beside it names the process that holds it.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf, SlackwaterError } from '../common/index.ts';

const YOUNG_MS = 1000;

export class JournalError extends SlackwaterError {
  readonly code = 'ERR_JOURNAL';
}

/** A live process of ours controls this VM, or shapes this network, already. */
export class JournalLockedError extends SlackwaterError {
  readonly code = 'ERR_JOURNAL_LOCKED';
  override readonly exitCode = 3;
}

/** $SLACKWATER_RUNTIME_DIR, /run/slackwater for root, else a folder of the user's own. */
export function journalDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env['SLACKWATER_RUNTIME_DIR'] !== undefined) return env['SLACKWATER_RUNTIME_DIR'];
  if (process.getuid?.() === 0) return '/run/slackwater';
  const base = env['XDG_RUNTIME_DIR'];
  return base === undefined
    ? join(tmpdir(), `slackwater-${String(process.getuid?.() ?? 0)}`)
    : join(base, 'slackwater');
}

/**
 * Start time of a process or thread in clock ticks since boot; null when there is none, or a dead one that nobody has
 * buried yet. Guards against reused ids.
 */
export function startTicksOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name, field 2, may hold spaces and brackets: count from its closing bracket. Start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, field] = [fields[0], fields[19]];
    return field === undefined || state === 'Z' || state === 'X' ? null : Number(field);
  } catch {
    return null;
  }
}

function lockHolder(lockPath: string): number | null {
  try {
    const [pid, ticks] = readFileSync(lockPath, 'utf8').trim().split(' ').map(Number);
    if (pid === undefined || ticks === undefined) return null;
    return startTicksOf(pid) === ticks ? pid : null;
  } catch {
    return null;
  }
}

/** What is written anew, until it takes the place of what was there: killed at any moment, a journal is whole. */
export function draftOf(path: string): string {
  return `${path}.new`;
}

/** Gives the journal up; the directory goes with the last one. */
export function unlockJournal(path: string): void {
  rmSync(draftOf(path), { force: true });
  rmSync(`${path}.lock`, { force: true });
  try {
    rmdirSync(dirname(path));
  } catch {
    // Other VMs' journals are in it, or it is gone already.
  }
}

/**
 * Makes this process the journal's only writer; `does` says in words what a journal's writer does.
 * @throws JournalLockedError when another live process is
 */
export function lockJournal(path: string, does: string): void {
  const lockPath = `${path}.lock`;
  const mine = `${process.pid} ${startTicksOf(process.pid) ?? 0}\n`;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(lockPath, mine, { flag: 'wx', mode: 0o600 });
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && attempt === 0) {
        // The last one to leave removes the directory, at any moment.
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        continue;
      }
      if (code !== 'EEXIST') {
        throw new JournalError(`cannot write the undo journal's lock ${lockPath}: ${messageOf(error)}`, {
          cause: error,
          remedy: 'set SLACKWATER_RUNTIME_DIR to a directory that you may write to',
        });
      }
      const holder = lockHolder(lockPath);
      if (holder !== null) {
        throw new JournalLockedError(`process ${holder} ${does} already`, {
          remedy: 'let it finish, or stop it with SIGINT; then try again',
        });
      }
      rmSync(lockPath, { force: true });
    }
  }
  throw new JournalError(`cannot lock ${lockPath}: others keep taking it`);
}

/** Its writer may be about to write into it. */
function isYoung(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || Date.now() - stat.mtimeMs < YOUNG_MS;
}

/** Of a process that was killed between its lock and its journal: it had not changed anything yet. */
function sweepLocks(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.lock')) continue;
    const path = join(directory, name.slice(0, -'.lock'.length));
    if (existsSync(path) || lockHolder(`${path}.lock`) !== null || isYoung(`${path}.lock`)) continue;
    unlockJournal(path);
  }
}

/** Journals on this host that no live process holds. */
export function abandonedJournals(directory: string): string[] {
  if (!existsSync(directory)) return [];
  sweepLocks(directory);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.journal'))
    .map((name) => join(directory, name))
    .filter((path) => lockHolder(`${path}.lock`) === null);
}
