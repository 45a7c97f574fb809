// SPDX-License-Identifier: Apache-2.0
// What a migration may have of the link while it runs, told from outside: by whoever shares the link out among many. Whatever
// the policy sets stays within it.

import type { ParameterChange } from '../model/index.ts';

export class BandwidthLimit {
  #bytesPerSec: number | null;
  #listener: (() => void) | null = null;

  /** Null: as much as the policy and the operator want. */
  constructor(bytesPerSec: number | null) {
    this.#bytesPerSec = bytesPerSec;
  }

  get bytesPerSec(): number | null {
    return this.#bytesPerSec;
  }

  set(bytesPerSec: number | null): void {
    if (bytesPerSec === this.#bytesPerSec) return;
    this.#bytesPerSec = bytesPerSec;
    this.#listener?.();
  }

  /** Of the one control loop that keeps it; null: none any more. */
  onChange(listener: (() => void) | null): void {
    this.#listener = listener;
  }
}

/** A bandwidth as the limit allows it; 0 means unlimited to QEMU. */
function within(bytesPerSec: number, limitBytesPerSec: number): number {
  return Math.round(bytesPerSec === 0 ? limitBytesPerSec : Math.min(bytesPerSec, limitBytesPerSec));
}

/** A policy's change as the limit allows it; null: there is none. */
export function withinLimit(change: ParameterChange, limitBytesPerSec: number | null): ParameterChange {
  if (limitBytesPerSec === null) return change;
  const { maxBandwidthBytesPerSec: precopy, maxPostcopyBandwidthBytesPerSec: postcopy } = change;
  return {
    ...change,
    ...(precopy === undefined ? {} : { maxBandwidthBytesPerSec: within(precopy, limitBytesPerSec) }),
    ...(postcopy === undefined
      ? {}
      : { maxPostcopyBandwidthBytesPerSec: within(postcopy, limitBytesPerSec) }),
  };
}
