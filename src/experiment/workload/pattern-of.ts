// SPDX-License-Identifier: Apache-2.0
// A pattern on a guest of a given size: shares become bytes.

import { amountBytes } from './amount.ts';
import type { SegmentPattern, WritePattern } from './pattern.ts';
import type { PatternTemplate, SegmentTemplate } from './workload.ts';

/**
 * Memory that the guest's kernel and programs take from it, at most: measured with Debian's kernels from 128 MiB to 2 GiB.
 * What is left is checked memory.
 */
export function ownMib(memoryMib: number): number {
  return Math.ceil(104 + memoryMib / 64 + (memoryMib > 512 ? 80 : 0));
}

function segmentOf(template: SegmentTemplate, arenaBytes: number): SegmentPattern {
  if (template.kind === 'idle') return template;
  const window = windowOf(template, arenaBytes);
  const order = 'order' in template ? { order: template.order } : {};
  switch (template.kind) {
    case 'steady':
      return { kind: 'steady', ...window, ...order };
    case 'drift':
      return { kind: 'drift', ...window, ...order, stepBytes: amountBytes(template.step, arenaBytes) };
    case 'zipf':
      return { kind: 'zipf', ...window, exponent: template.exponent };
    case 'readmostly':
      return { kind: 'readmostly', ...window, ...order, writesRatio: template.writesRatio };
  }
}

function windowOf(
  template: Exclude<PatternTemplate, { kind: 'idle' } | { kind: 'phases' }>,
  arenaBytes: number,
): { setBytes: number; rateBytesPerSec: number; offsetBytes?: number; touchBytes?: 8 | 4096 } {
  return {
    setBytes: amountBytes(template.set, arenaBytes),
    rateBytesPerSec: template.rateBytesPerSec,
    ...(template.offset === undefined ? {} : { offsetBytes: amountBytes(template.offset, arenaBytes) }),
    ...(template.touchBytes === undefined ? {} : { touchBytes: template.touchBytes }),
  };
}

/** Shares are of the checked memory. */
export function patternOf(template: PatternTemplate, arenaBytes: number): WritePattern {
  if (template.kind === 'phases') {
    const phases = template.phases.map(({ forMs, pattern }) => ({
      forMs,
      pattern: segmentOf(pattern, arenaBytes),
    }));
    return { kind: 'phases', phases };
  }
  if (template.kind !== 'burst') return segmentOf(template, arenaBytes);
  const { onMs, offMs } = template;
  const order = template.order === undefined ? {} : { order: template.order };
  return { kind: 'burst', ...windowOf(template, arenaBytes), ...order, onMs, offMs };
}
