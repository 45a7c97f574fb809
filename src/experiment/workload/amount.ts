// SPDX-License-Identifier: Apache-2.0
// An amount of memory as a workload file has it: a size, or a share of what there is once the guest's memory is known.

import { parseSizeBytes } from '../../common/index.ts';

export type Amount = { readonly bytes: number } | { readonly ratio: number };

export const AMOUNT_EXAMPLE = 'a size such as 64MiB, or a share of the memory such as 90%';

const PAGE_BYTES = 4096;

/** Undefined for a share above 100%. @throws UsageError for what is neither */
export function parseAmount(text: string): Amount | undefined {
  const [, digits] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  if (digits === undefined) return { bytes: parseSizeBytes(text) };
  const ratio = Number(digits) / 100;
  return ratio <= 1 ? { ratio } : undefined;
}

/** The amount in bytes; a share is rounded down to whole pages. */
export function amountBytes(amount: Amount, wholeBytes: number): number {
  if ('bytes' in amount) return amount.bytes;
  return Math.floor((amount.ratio * wholeBytes) / PAGE_BYTES) * PAGE_BYTES;
}
