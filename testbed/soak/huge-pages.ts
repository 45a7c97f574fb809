// SPDX-License-Identifier: Apache-2.0
// Huge pages for guests, reserved while they are needed.

import { readFileSync, writeFileSync } from 'node:fs';
import { RefusedError } from '../../src/index.ts';

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB';

function read(name: string): number {
  return Number(readFileSync(`${FOLDER}/${name}`, 'utf8'));
}

/** Has pages of 2 MiB reserved while `work` lasts. @throws RefusedError where the machine has not so many to give */
export async function withHugePages<T>(count: number, work: () => Promise<T>): Promise<T> {
  const before = read('nr_hugepages');
  writeFileSync(`${FOLDER}/nr_hugepages`, String(before + count));
  try {
    const free = read('free_hugepages');
    if (free < count) {
      throw new RefusedError(`wanted ${count} free pages of 2 MiB, got ${free}`, {
        remedy: 'free memory, or take away what has broken it into pieces',
      });
    }
    return await work();
  } finally {
    writeFileSync(`${FOLDER}/nr_hugepages`, String(before));
  }
}
