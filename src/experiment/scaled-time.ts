// SPDX-License-Identifier: Apache-2.0
// Policies of production systems wait for fixed numbers of seconds, which were chosen for guests of many gigabytes. On a
// small guest they would never act: `NAME@scaled` is the same policy with its seconds shortened in proportion.

/** T0, the time that the memory takes once over the link, of the published KubeVirt VEP 291 setting: 8 GiB over ~112 MB/s. */
const PUBLISHED_T0_S = 77;

/**
 * What a policy's times are multiplied by: T0 of this guest and link over that of the published setting.
 *
 * 512 MiB over 112 Mbit/s: T0 = 536,870,912 B / 14,000,000 B/s = 38.3 s, factor 38.3 / 77 = 0.498; a pause of 10 s becomes
 * one of 5 s. 1 GiB over the same link has T0 = 76.7 s and factor 0.996: as published.
 */
export function scaledTimeFactor(setting: {
  readonly memoryBytes: number;
  readonly linkBytesPerSec: number;
}): number {
  return setting.memoryBytes / setting.linkBytesPerSec / PUBLISHED_T0_S;
}
