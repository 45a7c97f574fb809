// SPDX-License-Identifier: Apache-2.0
// What a soak of migrations goes through, as data: every way in which pages are held, left out, sent first, given up and
// fetched, crossed with what guests are made of. Pure.

import { MIB } from '../../src/index.ts';
import type { WritePattern } from '../../src/experiment/index.ts';

/** What becomes of the migration. */
export const SCENARIOS = [
  /** What is left at the end of the pass is handed over by pre-copy. */
  'release',
  /** Hot pages are left out and fetched. */
  'postcopy',
  /** The deferred set changes all the time. */
  'revised',
  /** Post-copy is forbidden and the guest writes in bursts: begun in a pause of it, deferral is given up on the way. */
  'no-postcopy',
  /** Interrupted by its user while it holds. */
  'cancel',
  /** Its controller is killed while it holds and defers. */
  'kill',
  /** The link is cut in post-copy, and the guest recovered. */
  'recover',
] as const;

export type Scenario = (typeof SCENARIOS)[number];

/** Which QEMU runs at either end. */
export const DIRECTIONS = ['patched to patched', 'patched to stock', 'stock to patched'] as const;

export type Direction = (typeof DIRECTIONS)[number];

export interface SoakCase {
  readonly index: number;
  readonly scenario: Scenario;
  readonly direction: Direction;
  readonly vcpus: number;
  readonly hugePages: boolean;
  readonly pattern: WritePattern;
  readonly link: string;
}

const HOT: WritePattern = { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB };
const FITS: WritePattern = { kind: 'steady', setBytes: 16 * MIB, rateBytesPerSec: 100 * MIB };
const MOVING: WritePattern = {
  kind: 'drift',
  setBytes: 32 * MIB,
  rateBytesPerSec: 150 * MIB,
  stepBytes: 8 * MIB,
};

const BURSTS: WritePattern = {
  kind: 'burst',
  setBytes: 64 * MIB,
  rateBytesPerSec: 200 * MIB,
  onMs: 3000,
  offMs: 3000,
};

function patternOf(scenario: Scenario): WritePattern {
  switch (scenario) {
    case 'release':
      return FITS;
    case 'revised':
      return MOVING;
    case 'no-postcopy':
      return BURSTS;
    default:
      return HOT;
  }
}

const COMBINATIONS = SCENARIOS.length * DIRECTIONS.length * 2 * 2;

/** Coprime to the number of combinations: any few cases in a row differ in all dimensions, and all of them come once. */
const STRIDE = 25;

export function soakCase(index: number): SoakCase {
  let rest = (index * STRIDE) % COMBINATIONS;
  const take = (count: number): number => {
    const digit = rest % count;
    rest = Math.floor(rest / count);
    return digit;
  };
  const scenario = SCENARIOS[take(SCENARIOS.length)] ?? 'release';
  const direction = DIRECTIONS[take(DIRECTIONS.length)] ?? 'patched to patched';
  return {
    index,
    scenario,
    direction,
    vcpus: 1 + take(2),
    hugePages: take(2) === 1,
    pattern: patternOf(scenario),
    // Slow where something has to happen in post-copy.
    link: scenario === 'recover' ? '300mbit' : 'lan-1g',
  };
}

export function describeCase({ index, scenario, direction, vcpus, hugePages }: SoakCase): string {
  return `${index}: ${scenario}, ${direction}, ${vcpus} vCPU${vcpus === 1 ? '' : 's'}, pages of ${hugePages ? '2 MiB' : '4 KiB'}`;
}
