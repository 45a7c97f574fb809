// SPDX-License-Identifier: Apache-2.0
// The folder in which sshd locks itself in while nobody has logged in yet. Its path is compiled in, so all sshds of a machine
// share it, those of test files that run beside each other as well: without it each of them refuses every connection.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const LOCK_IN = '/run/sshd';
// Whoever comes last removes it, so it has to say itself that it is not the system's.
const MADE_BY_TESTS = join(LOCK_IN, 'made-by-slackwater-tests');

/** What the folder of each running sshd of a test begins with; as long as there is one, the lock-in stays. */
export const SSHD_FOLDER = '/run/slackwater-test-sshd-';

/** To be called with a folder of one's own made some steps earlier: somebody who leaves just now has seen it then. */
export function enterLockIn(): void {
  if (mkdirSync(LOCK_IN, { recursive: true, mode: 0o755 }) !== undefined) writeFileSync(MADE_BY_TESTS, '');
}

/** To be called when the folder of one's own is gone. */
export function leaveLockIn(): void {
  const others = readdirSync(dirname(SSHD_FOLDER)).some((name) => name.startsWith(basename(SSHD_FOLDER)));
  if (others || !existsSync(MADE_BY_TESTS)) return;
  // Two that leave at the same moment both come here: what is gone already is as good.
  rmSync(LOCK_IN, { recursive: true, force: true });
}
