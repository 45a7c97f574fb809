// SPDX-License-Identifier: Apache-2.0
// What may become a word of a tc command: names and numbers that cannot be read as anything else.

import { UsageError } from '../common/index.ts';

/** As the kernel has it: up to 15 characters; none that ends a word, begins an option or is a path. @throws UsageError */
export function checkDevice(name: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name)) {
    throw new UsageError(`expected the name of a NIC such as eth0, got "${name}"`);
  }
  return name;
}

/** @throws UsageError */
export function checkNamespace(name: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(name)) {
    throw new UsageError(`expected the name of a network namespace, got "${name}"`);
  }
  return name;
}

/** Whole bytes per second, 1 kB/s to 1 TB/s. @throws UsageError */
export function checkRate(bytesPerSec: number, what: string): number {
  const rate = Math.round(bytesPerSec);
  if (!(rate >= 1000 && rate <= 1e12)) {
    throw new UsageError(`${what}: expected 1 kB/s to 1 TB/s, got ${bytesPerSec} B/s`);
  }
  return rate;
}

/** @throws UsageError */
export function checkPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`expected a port from 1 to 65535, got ${port}`);
  }
  return port;
}

/** Six octets; `52:54:00:77:00:10`. @throws UsageError */
export function macOctets(mac: string): number[] {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) {
    throw new UsageError(`expected a MAC address such as 52:54:00:12:34:56, got "${mac}"`);
  }
  return mac.split(':').map((octet) => parseInt(octet, 16));
}
