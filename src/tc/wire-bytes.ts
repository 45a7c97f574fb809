// SPDX-License-Identifier: Apache-2.0
// What counters say, as bytes on the wire. NICs and nftables count a packet before it is cut into frames (GSO), nftables without
// its Ethernet header (in a bridge, too), none of them with what the wire adds; HTB counts after it is cut. Everything here is told in wire bytes, so that the sums agree.

import type { Count } from './counters.ts';

/** Preamble 8, checksum 4, gap 12. */
const WIRE_EXTRA_BYTES = 24;
const ETHERNET_BYTES = 14;
/** IPv4 and TCP with timestamps: what each frame of a cut packet repeats. */
const HEADER_BYTES = 20 + 32;
const MTU_BYTES = 1500;

/**
 * Bytes on the wire of what a NIC counted: `bytes` of Ethernet frames, `packets` before they were
 * cut. Where the mean packet is larger than a frame, payload is taken to fill frames of 1448 bytes, each with headers of
 * its own; else each packet is a frame. Of a mixture of large and small packets the small ones' headers are told too low by at
 * most the share that they are of the bytes.
 *
 * 100 packets of 65,226 bytes (45 x 1448 + 66): 6,522,600 counted, 4,500 frames of 1538 on the wire: 6,921,000.
 */
export function wireBytesOfFrames({ bytes, packets }: Count): number {
  if (packets <= 0) return 0;
  const header = ETHERNET_BYTES + HEADER_BYTES;
  const segment = MTU_BYTES - HEADER_BYTES;
  const payload = bytes - packets * header;
  if (payload / packets <= segment) return bytes + packets * WIRE_EXTRA_BYTES;
  const frames = payload / segment;
  return payload + frames * (header + WIRE_EXTRA_BYTES);
}

/** The same of what nftables counts: packets without their Ethernet header. */
export function wireBytesOfPackets({ bytes, packets }: Count): number {
  return wireBytesOfFrames({ bytes: bytes + packets * ETHERNET_BYTES, packets });
}

/** The same of what HTB counts: frames as they are sent, headers and all. */
export function wireBytesOfSegments({ bytes, packets }: Count): number {
  return bytes + packets * WIRE_EXTRA_BYTES;
}
