// SPDX-License-Identifier: Apache-2.0
// Cases of the soak, two at a time: each waits for half of its time, and there are two CPUs.

import { seededRandom } from '../../src/report/index.ts';
import { carryOutCase, type SoakOptions, type SoakResult } from './carry-out-case.ts';
import { withHugePages } from './huge-pages.ts';
import { soakCase } from './soak-case.ts';

const AT_ONCE = 2;
/** Of 2 MiB: two guests of 256 MiB a case. */
const HUGE_PAGES_EACH = 260;

/**
 * Tells each result when it is there, in whatever order they come. Where the testbed fails in one, no other is begun, and that
 * failure is thrown once those that run have ended.
 */
export async function carryOutCases(
  indexes: readonly number[],
  options: Omit<SoakOptions, 'random'> & { readonly seed: number },
  onResult: (result: SoakResult) => void,
): Promise<void> {
  if (indexes.length === 0) return;
  const waiting = [...indexes];
  const lane = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      // When something happens in a case does not hang on the others.
      const random = seededRandom(options.seed * 1000 + index);
      try {
        onResult(await carryOutCase(soakCase(index), { ...options, random }));
      } catch (error) {
        waiting.length = 0;
        throw error;
      }
    }
  };
  await withHugePages(AT_ONCE * HUGE_PAGES_EACH, async () => {
    const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane));
    for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason as Error;
  });
}
