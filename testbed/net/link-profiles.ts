// SPDX-License-Identifier: Apache-2.0
// Links as data. A link is what each host's cable to the switch carries, per direction.

import { NAMED_LINKS, WIRE_BYTES_PER_FRAME } from '../../src/experiment/index.ts';
import { UsageError, parseRateBytesPerSec } from '../../src/index.ts';

export interface LinkProfile {
  readonly name: string;
  /** What the link is sold as: bytes on the wire per second, with preamble, checksum and gap of each frame. */
  readonly rateBytesPerSec: number;
  /** The switch's buffer per port and direction. */
  readonly queueBytes: number;
  /** How far the shaper may catch up when its timer fires late. */
  readonly burstBytes: number;
}

// Of the 1538 bytes that a full frame takes on the wire the kernel's shapers count so many.
const KERNEL_BYTES_PER_FRAME = 1514;

// A switch's buffer: about 4 ms of the port's rate, as shared-buffer switches give one port. Never under 256 KiB: a GSO
// packet is up to 64 KiB here, and a queue of fewer than four of them drops bursts that a real switch would take as frames.
const QUEUE_S = 0.004;
const MIN_QUEUE_BYTES = 256 * 1024;

// Measured on the reference machine: with a burst of one frame late timers cost 5 % at 1 Gbit/s and a third at 8 Gbit/s; with
// 0.25 ms of rate the line rate is reached at 1 Gbit/s, and more gains nothing. HTB lets one packet of any size overdraw
// its tokens, so the burst need not hold a whole GSO packet: after a pause no more than 0.25 ms worth passes unshaped.
const BURST_S = 0.000_25;
const MIN_BURST_BYTES = 1600;

const MIN_RATE_BYTES_PER_SEC = 125_000;
const MAX_RATE_BYTES_PER_SEC = 12.5e9;

/** A link of that rate, with queue and burst in proportion. @throws UsageError outside 1 Mbit/s to 100 Gbit/s */
export function linkOfRate(name: string, rateBytesPerSec: number): LinkProfile {
  if (!(rateBytesPerSec >= MIN_RATE_BYTES_PER_SEC && rateBytesPerSec <= MAX_RATE_BYTES_PER_SEC)) {
    throw new UsageError(`wanted a link of 1mbit to 100gbit, got ${rateBytesPerSec * 8} bit/s`);
  }
  return {
    name,
    rateBytesPerSec,
    queueBytes: Math.max(MIN_QUEUE_BYTES, Math.round(rateBytesPerSec * QUEUE_S)),
    burstBytes: Math.max(MIN_BURST_BYTES, Math.round(rateBytesPerSec * BURST_S)),
  };
}

/** The links with names. */
export const LINK_PROFILES: readonly LinkProfile[] = NAMED_LINKS.map(({ name, rateBytesPerSec }) =>
  linkOfRate(name, rateBytesPerSec),
);

/** Between real machines: what their network carries. It is no profile, for nobody knows its rate beforehand. */
export const NATIVE_LINK = 'native';

/** A named profile, or a link of the rate that the text gives ("300mbit"). @throws UsageError */
export function parseLink(text: string): LinkProfile {
  const named = LINK_PROFILES.find(({ name }) => name === text);
  if (named !== undefined) return named;
  const names = LINK_PROFILES.map(({ name }) => name).join(', ');
  try {
    return linkOfRate(text, parseRateBytesPerSec(text));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`wanted a link: ${names} or a rate such as 300mbit, got "${text}"`, {
      cause: error,
    });
  }
}

/** What the shaper is set to, so that full frames take the time that they take on the wire. */
export function shaperRateBytesPerSec(rateBytesPerSec: number): number {
  return Math.round((rateBytesPerSec * KERNEL_BYTES_PER_FRAME) / WIRE_BYTES_PER_FRAME);
}
