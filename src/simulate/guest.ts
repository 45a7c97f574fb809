// SPDX-License-Identifier: Apache-2.0
// A guest as the model has it: memory in parts whose pages are alike, and what of each part is written between two moments.

import type { DirtyCurve, Pace } from '../model/index.ts';
import { HEAT_CLASSES, heatClassOf } from '../model/index.ts';
import { ownTimeOf } from '../forecast/index.ts';

export interface MemoryPart {
  /** How much of the memory the part is. */
  readonly bytes: number;
  /** How hot its pages are, as a patched QEMU's pages are classed; 0: not seen dirty. */
  readonly heatClass: number;
  /** Distinct bytes of it written between two moments, in ms of a guest that nobody slows down. */
  dirtyBetween(fromMs: number, toMs: number): number;
}

export interface SimulatedGuest {
  readonly memoryBytes: number;
  /** All zero, and so sent as a few bytes each. */
  readonly zeroBytes: number;
  readonly parts: readonly MemoryPart[];
  /** Of its CPUs' time the share that it needs for what it does: throttled to more than that it does not notice. */
  readonly busyRatio: number;
}

const HEAT_WINDOW_MS = 200;

/** Heat is 256 times the share of windows in which a page is dirty. */
export function heatClassOfShare(share: number): number {
  return heatClassOf(Math.min(255, Math.round(256 * share)));
}

/** The guest that follows a dirtying curve, at a pace (null: always as busy); without `busyRatio` it needs all of its CPUs. */
export function guestOfCurve(
  memoryBytes: number,
  zeroBytes: number,
  { hotBytes, tauMs, coldBytesPerMs }: DirtyCurve,
  pace: Pace | null,
  busyRatio = 1,
): SimulatedGuest {
  const ownTime = pace === null || pace.values.length === 0 ? null : ownTimeOf(pace);
  const passed = (fromMs: number, toMs: number): number =>
    ownTime === null ? toMs - fromMs : ownTime(toMs) - ownTime(fromMs);
  const hot = Math.min(hotBytes, memoryBytes);
  return {
    memoryBytes,
    zeroBytes,
    busyRatio,
    parts: [
      {
        bytes: hot,
        heatClass: heatClassOfShare(-Math.expm1(-HEAT_WINDOW_MS / tauMs)),
        dirtyBetween: (fromMs, toMs) => hot * -Math.expm1(-passed(fromMs, toMs) / tauMs),
      },
      {
        bytes: memoryBytes - hot,
        heatClass: 0,
        dirtyBetween: (fromMs, toMs) => Math.min(memoryBytes - hot, coldBytesPerMs * passed(fromMs, toMs)),
      },
    ],
  };
}

/** Pages by class of heat, as a patched QEMU's pages are counted; what no part writes is cold. */
export function pagesByHeatOf({ memoryBytes, parts }: SimulatedGuest, pageBytes: number): number[] {
  const pages = new Array<number>(HEAT_CLASSES).fill(0);
  let cold = memoryBytes;
  for (const { bytes, heatClass } of parts) {
    if (heatClass === 0) continue;
    pages[heatClass] = (pages[heatClass] ?? 0) + bytes / pageBytes;
    cold -= bytes;
  }
  pages[0] = Math.max(0, cold) / pageBytes;
  return pages;
}
