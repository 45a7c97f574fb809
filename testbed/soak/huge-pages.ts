// SPDX-License-Identifier: Apache-2.0
// Huge pages for guests, reserved while they are needed, however the one ends who needs them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { RefusedError } from '../../src/index.ts';

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const RESERVED = `${FOLDER}/nr_hugepages`;

/** Waits for the end of its input, which comes with that of whoever holds the other end; then writes $1 to $2. */
const PUT_BACK = 'while read -r _; do :; done; printf %s "$1" >"$2"';

function read(path: string): number {
  return Number(readFileSync(path, 'utf8'));
}

/** Has pages of 2 MiB reserved while `work` lasts. @throws RefusedError where the machine has not so many to give */
export async function withHugePages<T>(count: number, work: () => Promise<T>): Promise<T> {
  const before = read(RESERVED);
  const keeper = spawn('sh', ['-c', PUT_BACK, 'sh', String(before), RESERVED], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await once(keeper, 'spawn');
  const ended = once(keeper, 'exit');
  try {
    writeFileSync(RESERVED, String(before + count));
    const free = read(`${FOLDER}/free_hugepages`);
    if (free < count) {
      throw new RefusedError(`wanted ${count} free pages of 2 MiB, got ${free}`, {
        remedy: 'free memory, or take away what has broken it into pieces',
      });
    }
    return await work();
  } finally {
    keeper.stdin.end();
    await ended;
  }
}
