// SPDX-License-Identifier: Apache-2.0
// Three hosts on one switch, each a network namespace. The root namespace's interfaces are never touched: every veth is born
// inside a namespace of the testbed.
//
//   NAME-src            NAME-sw                    NAME-client
//   br0 -- eth0 ======= p-src   sw0   p-client ======= eth0
//      `-- tap0         i-src     `-- p-dst ===== NAME-dst (as src)

import { existsSync } from 'node:fs';
import { run } from '../process.ts';
import { inletFilterLines, shaperLines } from './shaper.ts';
import type { CommandContext } from './iproute.ts';
import { ipBatch, tcBatch, writeSysctls } from './iproute.ts';
import type { LinkProfile } from './link-profiles.ts';
import type { HostName } from './plan.ts';
import {
  ENDPOINTS,
  GUEST_TAP,
  HOSTS,
  HOST_BRIDGE,
  HOST_NIC,
  MTU_BYTES,
  PREFIX_LENGTH,
  SWITCH_BRIDGE,
  addressDevice,
  namespaceOf,
  namespacesOf,
  switchInlet,
  switchPort,
} from './plan.ts';

/** Where `ip netns` keeps the names. */
export const NAMESPACE_DIRECTORY = '/run/netns';

const BRIDGE_OPTIONS = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0';

// Each with the value that is wanted; those that this kernel does not have are left out.
const SYSCTLS: readonly (readonly [value: string, path: string])[] = [
  ['1', '/proc/sys/net/ipv6/conf/all/disable_ipv6'],
  ['1', '/proc/sys/net/ipv6/conf/default/disable_ipv6'],
  // Losses of one run must not shape the congestion window of the next.
  ['1', '/proc/sys/net/ipv4/tcp_no_metrics_save'],
  ['0', '/proc/sys/net/bridge/bridge-nf-call-iptables'],
  ['0', '/proc/sys/net/bridge/bridge-nf-call-ip6tables'],
  ['0', '/proc/sys/net/bridge/bridge-nf-call-arptables'],
];

/**
 * Creates the namespaces and joins them. Stops at the first failure and leaves what there is: the caller removes it.
 * @throws ProcessError
 */
export async function bringUpNetwork(
  context: CommandContext,
  testbed: string,
  link: LinkProfile,
): Promise<void> {
  for (const namespace of namespacesOf(testbed)) {
    await run(['ip', 'netns', 'add', namespace], context);
  }
  for (const namespace of namespacesOf(testbed)) await configureKernel(context, namespace);
  const switchNamespace = namespaceOf(testbed, 'sw');
  await ipBatch(context, switchNamespace, switchLines(testbed));
  for (const host of HOSTS) await ipBatch(context, namespaceOf(testbed, host), hostLines(host));
  await tcBatch(context, switchNamespace, [
    ...HOSTS.flatMap((host) => inletFilterLines(host)),
    ...shaperLines('add', link),
  ]);
}

async function configureKernel(context: CommandContext, namespace: string): Promise<void> {
  for (const value of ['0', '1']) {
    const paths = SYSCTLS.filter(([wanted, path]) => wanted === value && existsSync(path)).map(
      ([, path]) => path,
    );
    await writeSysctls(context, namespace, value, paths);
  }
}

/** `ip -batch` lines for the switch's namespace; each host's NIC is made here, straight into the host's namespace. */
export function switchLines(testbed: string): string[] {
  const perHost = HOSTS.flatMap((host) => [
    `link add ${switchPort(host)} mtu ${MTU_BYTES} type veth peer name ${HOST_NIC} address ${ENDPOINTS[host].mac} mtu ${MTU_BYTES} netns ${namespaceOf(testbed, host)}`,
    `link add ${switchInlet(host)} type ifb`,
    `link set ${switchInlet(host)} up`,
    `link set ${switchPort(host)} master ${SWITCH_BRIDGE} up`,
  ]);
  return [
    'link set lo up',
    `link add ${SWITCH_BRIDGE} ${BRIDGE_OPTIONS}`,
    `link set ${SWITCH_BRIDGE} up`,
    ...perHost,
  ];
}

/**
 * `ip -batch` lines for a host's namespace. All neighbours are permanent: after a long cut nothing answers "host
 * unreachable", and no run pays for an ARP exchange.
 */
export function hostLines(host: HostName): string[] {
  const device = addressDevice(host);
  const bridge = [
    `link add ${HOST_BRIDGE} address ${ENDPOINTS[host].mac} mtu ${MTU_BYTES} ${BRIDGE_OPTIONS}`,
    `tuntap add dev ${GUEST_TAP} mode tap`,
    `link set ${HOST_NIC} master ${HOST_BRIDGE}`,
    `link set ${GUEST_TAP} master ${HOST_BRIDGE} up`,
    `link set ${HOST_BRIDGE} up`,
  ];
  const others = [...HOSTS.filter((other) => other !== host), 'guest' as const];
  return [
    'link set lo up',
    `link set ${HOST_NIC} up`,
    ...(device === HOST_BRIDGE ? bridge : []),
    `addr add ${ENDPOINTS[host].ip}/${PREFIX_LENGTH} dev ${device}`,
    ...others.map(
      (other) =>
        `neigh replace ${ENDPOINTS[other].ip} lladdr ${ENDPOINTS[other].mac} dev ${device} nud permanent`,
    ),
  ];
}
