// SPDX-License-Identifier: Apache-2.0
// Starts the guardian: a process in a session of its own that undoes the journal if this one dies.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { JournalError } from './journal-lock.ts';

export interface Guardian {
  /** Everything is undone: the guardian goes. Resolves when it is gone. */
  dismiss(): Promise<void>;
  /** Something is still to be undone: the guardian takes over now. */
  release(): void;
}

function scriptPath(): string {
  // Beside this file in the sources; in the build the shell script stays where it was.
  for (const relative of ['./guardian.sh', '../../../src/act/guardian.sh']) {
    const path = fileURLToPath(new URL(relative, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new JournalError('guardian.sh is missing from this installation', {
    remedy: 'install slackwater again',
  });
}

/** `program` is the slackwater command's own file; `journalPath` what to undo. */
export function startGuardian(program: string, journalPath: string): Guardian {
  const child: ChildProcess = spawn(
    '/bin/sh',
    [scriptPath(), process.execPath, program, journalPath],
    // A session of its own: signals to our terminal or process group do not reach it.
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  child.stdin?.on('error', () => {
    // The guardian died first; the journal is still there for the next command.
  });
  // Waiting beside us, it must not keep our event loop alive.
  child.unref();
  (child.stdin as Socket | null)?.unref();
  return {
    dismiss: async () => {
      child.ref();
      child.stdin?.end('done\n');
      await gone;
    },
    release: () => {
      child.stdin?.end();
    },
  };
}
