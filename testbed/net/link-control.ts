// SPDX-License-Identifier: Apache-2.0
// Changes to a running network: cables pulled and put back, links made faster or slower.

import type { CommandContext } from './iproute.ts';
import { ipBatch, tcBatch } from './iproute.ts';
import { linkOfRate } from './link-profiles.ts';
import { shaperLines } from './shaper.ts';
import type { HostName } from './plan.ts';
import { SWITCH_BRIDGE, namespaceOf, switchPort } from './plan.ts';

/**
 * Takes the switch's port of a host out of the switch: packets vanish, both ways. The host's own NIC stays up and nothing
 * answers in its place. What already stood in the queue towards the host still arrives. (A bridge port's state cannot be
 * used: the kernel puts a disabled port back to forwarding at the next event on the link.)
 */
export async function cutLink(context: CommandContext, testbed: string, host: HostName): Promise<void> {
  await ipBatch(context, namespaceOf(testbed, 'sw'), [`link set dev ${switchPort(host)} nomaster`]);
}

/** Undoes `cutLink`; harmless on a link that is whole. */
export async function restoreLink(context: CommandContext, testbed: string, host: HostName): Promise<void> {
  await ipBatch(context, namespaceOf(testbed, 'sw'), [
    `link set dev ${switchPort(host)} master ${SWITCH_BRIDGE}`,
  ]);
}

/** Sets the rate of all links, both ways, with queue and burst in proportion, while traffic flows. */
export async function setRate(
  context: CommandContext,
  testbed: string,
  rateBytesPerSec: number,
): Promise<void> {
  const link = linkOfRate(`${rateBytesPerSec * 8}bit`, rateBytesPerSec);
  await tcBatch(context, namespaceOf(testbed, 'sw'), shaperLines('change', link));
}
