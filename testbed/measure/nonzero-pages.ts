// SPDX-License-Identifier: Apache-2.0
// How many pages of a running guest hold anything but zeros: the bytes that no migration can avoid sending.

import { MeasureError } from '../errors.ts';
import { run } from '../process.ts';

export interface NonzeroPages {
  readonly pagesTotal: number;
  /** Pages that the QEMU process has ever touched. */
  readonly pagesPresent: number;
  readonly pagesNonzero: number;
  readonly tookMs: number;
}

export interface NonzeroPagesOptions {
  /** From `ensureNativeTools()`. */
  readonly nonzeroPagesPath: string;
  readonly qemuPid: number;
  readonly memoryMib: number;
}

/** Reads the program's answer. @throws MeasureError */
export function parseNonzeroPages(stdout: string): NonzeroPages {
  const fields = JSON.parse(stdout) as Partial<Record<keyof NonzeroPages, unknown>>;
  const number = (name: keyof NonzeroPages): number => {
    const value = fields[name];
    if (typeof value !== 'number') throw new MeasureError(`nonzero-pages: wanted a number ${name}`);
    return value;
  };
  return {
    pagesTotal: number('pagesTotal'),
    pagesPresent: number('pagesPresent'),
    pagesNonzero: number('pagesNonzero'),
    tookMs: number('tookMs'),
  };
}

/** Counts at this moment, while the guest runs on; 0.2 s for 512 MiB. @throws ProcessError, MeasureError */
export async function countNonzeroPages(options: NonzeroPagesOptions): Promise<NonzeroPages> {
  const sizeBytes = options.memoryMib * 1024 * 1024;
  return parseNonzeroPages(
    (await run([options.nonzeroPagesPath, String(options.qemuPid), String(sizeBytes)])).stdout,
  );
}
