// SPDX-License-Identifier: Apache-2.0
// Three hosts on one switch, each a network namespace. The root namespace's interfaces are never touched: every veth is born
// inside a namespace of the testbed.
//
//   NAME-src            NAME-sw                    NAME-client
//   br0 -- eth0 ======= p-src   sw0   p-client ======= eth0
//      `-- tap0         i-src     `-- p-dst ===== NAME-dst (as src)

import { existsSync } from 'node:fs';
import { HERE, loadIfb } from '../../src/tc/index.ts';
import { run } from '../process.ts';
import { inletFilterLines, shaperLines } from './shaper.ts';
import type { CommandContext } from './iproute.ts';
import { ipBatch, tcBatch, writeSysctls } from './iproute.ts';
import type { LinkProfile } from './link-profiles.ts';
import type { HostName, HypervisorName } from './plan.ts';
import {
  ENDPOINTS,
  guestEndpoint,
  guestTap,
  HOSTS,
  HOST_BRIDGE,
  HOST_NIC,
  HYPERVISORS,
  MTU_BYTES,
  NEIGHBOUR_ENDPOINTS,
  NEIGHBOUR_PORT,
  NEIGHBOURS,
  PREFIX_LENGTH,
  SWITCH_BRIDGE,
  addressDevice,
  namespaceOf,
  namespacesOf,
  switchInlet,
  switchPort,
} from './plan.ts';

/** Who lives in a testbed beside the hosts. */
export interface Members {
  /** Guests that it can have at once. */
  readonly guests: number;
  /** Whether there are VMs that stay, as namespaces of their own. */
  readonly neighbours: boolean;
}

export const ONE_GUEST: Members = { guests: 1, neighbours: false };

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
  members: Members = ONE_GUEST,
): Promise<void> {
  const neighbours = members.neighbours
    ? Object.values(NEIGHBOURS).map((member) => namespaceOf(testbed, member))
    : [];
  const namespaces = [...namespacesOf(testbed), ...neighbours];
  for (const namespace of namespaces) await run(['ip', 'netns', 'add', namespace], context);
  for (const namespace of namespaces) await configureKernel(context, namespace);
  const switchNamespace = namespaceOf(testbed, 'sw');
  await loadIfb(HERE);
  await ipBatch(context, switchNamespace, switchLines(testbed));
  for (const host of HOSTS) await ipBatch(context, namespaceOf(testbed, host), hostLines(host, members));
  if (members.neighbours) {
    for (const host of HYPERVISORS) {
      await ipBatch(context, namespaceOf(testbed, host), neighbourPortLines(testbed, host));
      await ipBatch(context, namespaceOf(testbed, NEIGHBOURS[host]), neighbourLines(host, members));
      await tellBridges(context, testbed, host);
    }
  }
  await tcBatch(context, switchNamespace, [
    ...HOSTS.flatMap((host) => inletFilterLines(host)),
    ...shaperLines('add', link),
  ]);
}

/**
 * Where a neighbour is. Bridges would learn it from what it sends, but one that only receives sends nothing, since nobody asks for
 * addresses here: what it gets would go to every host, and through links that it has no business with.
 */
async function tellBridges(context: CommandContext, testbed: string, host: HypervisorName): Promise<void> {
  const { mac } = NEIGHBOUR_ENDPOINTS[NEIGHBOURS[host]];
  const ports = [
    [namespaceOf(testbed, 'sw'), switchPort(host)],
    [namespaceOf(testbed, host), NEIGHBOUR_PORT],
  ] as const;
  for (const [namespace, port] of ports) {
    await run(['bridge', '-n', namespace, 'fdb', 'replace', mac, 'dev', port, 'master', 'static'], context);
  }
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
export function hostLines(host: HostName, { guests, neighbours }: Members = ONE_GUEST): string[] {
  const device = addressDevice(host);
  const bridge = [
    `link add ${HOST_BRIDGE} address ${ENDPOINTS[host].mac} mtu ${MTU_BYTES} ${BRIDGE_OPTIONS}`,
    `link set ${HOST_NIC} master ${HOST_BRIDGE}`,
    ...numbers(guests).flatMap((index) => [
      `tuntap add dev ${guestTap(index)} mode tap`,
      `link set ${guestTap(index)} master ${HOST_BRIDGE} up`,
    ]),
    `link set ${HOST_BRIDGE} up`,
  ];
  return [
    'link set lo up',
    `link set ${HOST_NIC} up`,
    ...(device === HOST_BRIDGE ? bridge : []),
    `addr add ${ENDPOINTS[host].ip}/${PREFIX_LENGTH} dev ${device}`,
    ...neighbourEntries(device, ENDPOINTS[host].ip, { guests, neighbours }),
  ];
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Permanent entries for everybody but oneself. */
function neighbourEntries(device: string, ownIp: string, { guests, neighbours }: Members): string[] {
  const everybody = [
    ...HOSTS.map((host) => ENDPOINTS[host]),
    ...numbers(guests).map(guestEndpoint),
    ...(neighbours ? Object.values(NEIGHBOUR_ENDPOINTS) : []),
  ];
  return everybody
    .filter(({ ip }) => ip !== ownIp)
    .map(({ ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`);
}

/** `ip -batch` lines for a hypervisor's namespace: its neighbour's cable into the bridge. */
function neighbourPortLines(testbed: string, host: HypervisorName): string[] {
  const { mac } = NEIGHBOUR_ENDPOINTS[NEIGHBOURS[host]];
  const namespace = namespaceOf(testbed, NEIGHBOURS[host]);
  return [
    `link add ${NEIGHBOUR_PORT} mtu ${MTU_BYTES} type veth peer name ${HOST_NIC} address ${mac} mtu ${MTU_BYTES} netns ${namespace}`,
    `link set ${NEIGHBOUR_PORT} master ${HOST_BRIDGE} up`,
  ];
}

/** And for the neighbour's own. */
function neighbourLines(host: HypervisorName, members: Members): string[] {
  const { ip } = NEIGHBOUR_ENDPOINTS[NEIGHBOURS[host]];
  return [
    'link set lo up',
    `link set ${HOST_NIC} up`,
    `addr add ${ip}/${PREFIX_LENGTH} dev ${HOST_NIC}`,
    ...neighbourEntries(HOST_NIC, ip, members),
  ];
}
