// SPDX-License-Identifier: Apache-2.0
// Figures that every stage reckons alike.

import type { GuestSpec } from '../guest/index.ts';

const MIB = 1024 * 1024;
// The guest's memory, QEMU's own and what sockets hold.
const WARM_RATIO = 1.25;
const FIRST_PORT = 4440;
const PORTS = 50;

/** How much memory must be present in a machine before the guest comes to it. */
export function warmBytes({ memoryMib }: GuestSpec): number {
  return Math.round(memoryMib * WARM_RATIO) * MIB;
}

/** Where a destination listens; `count` tells successive ones apart, whose ports the kernel still remembers. */
export function migrationUri(address: string, count: number): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `tcp:${host}:${FIRST_PORT + (count % PORTS)}`;
}
