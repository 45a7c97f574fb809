// SPDX-License-Identifier: Apache-2.0
// The links' rate, as `tc -batch` lines for the switch's namespace. Switch to host is the port's own egress; host to switch
// is the port's ingress, redirected through an IFB device. Both are one HTB class over a byte FIFO.
//
// Why so (measured, 2 cores, TCP by iperf3): a second veth hop per host costs the same CPU at 1 and 4 Gbit/s (0.8 and
// 1.3 CPU seconds per GB for both ends together) and needs three times the devices. HTB takes a GSO packet whole, where TBF
// with a burst under 64 KiB cuts it into frames.

import type { LinkProfile } from './link-profiles.ts';
import { shaperRateBytesPerSec } from './link-profiles.ts';
import type { HostName } from './plan.ts';
import { HOSTS, switchInlet, switchPort } from './plan.ts';

/** Sends all that arrives from a host through the host's inlet device. */
export function inletFilterLines(host: HostName): string[] {
  const port = switchPort(host);
  return [
    `qdisc add dev ${port} handle ffff: ingress`,
    `filter add dev ${port} parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ${switchInlet(host)}`,
  ];
}

/** Creates the shapers of all links, or changes their rate while traffic flows (nothing queued is lost, unless it no longer fits). */
export function shaperLines(verb: 'add' | 'change', link: LinkProfile): string[] {
  const devices = HOSTS.flatMap((host) => [switchPort(host), switchInlet(host)]);
  return devices.flatMap((device) => deviceShaperLines(verb, device, link));
}

/** The shaper of what one device sends; `handle` names its root. Adding it takes the first line, and taking that away all. */
export function deviceShaperLines(
  verb: 'add' | 'change',
  device: string,
  link: LinkProfile,
  handle = '1:',
): string[] {
  const rate = shaperRateBytesPerSec(link.rateBytesPerSec);
  return [
    ...(verb === 'add' ? [`qdisc add dev ${device} root handle ${handle} htb default 1`] : []),
    // `bps` is bytes per second to tc. The quantum plays no part with a single class; given, tc does not warn.
    `class ${verb} dev ${device} parent ${handle} classid ${handle}1 htb rate ${rate}bps burst ${link.burstBytes} cburst ${link.burstBytes} quantum 60000`,
    `qdisc ${verb} dev ${device} parent ${handle}1 handle 10: bfifo limit ${link.queueBytes}`,
  ];
}
