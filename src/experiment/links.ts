// SPDX-License-Identifier: Apache-2.0
// Links by name, and what a link of some rate carries.

import { parseRateBytesPerSec } from '../common/index.ts';

/** What each is sold as, per direction. `lan-8g` is more than the reference machine carries: the CPU is its limit. */
export const NAMED_LINKS: readonly { readonly name: string; readonly rateBytesPerSec: number }[] = [
  { name: 'lan-100m', rateBytesPerSec: 12_500_000 },
  { name: 'lan-1g', rateBytesPerSec: 125_000_000 },
  { name: 'lan-8g', rateBytesPerSec: 1_000_000_000 },
];

/** Of a link with a name, or of the rate that the text gives ("300mbit"). @throws UsageError */
export function linkRateBytesPerSec(text: string): number {
  return NAMED_LINKS.find(({ name }) => name === text)?.rateBytesPerSec ?? parseRateBytesPerSec(text);
}

// On the wire a full frame takes 1500 + 14 header + 4 checksum + 8 preamble + 12 gap = 1538 bytes, of which a TCP stream with
// timestamps carries 1448.
export const WIRE_BYTES_PER_FRAME = 1538;
export const TCP_BYTES_PER_FRAME = 1448;

/** The most that one TCP stream can carry: 1 Gbit/s gives 117.7 MB/s. */
export function tcpGoodputBytesPerSec(rateBytesPerSec: number): number {
  return (rateBytesPerSec * TCP_BYTES_PER_FRAME) / WIRE_BYTES_PER_FRAME;
}
