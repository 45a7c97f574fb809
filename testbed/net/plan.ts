// SPDX-License-Identifier: Apache-2.0
// Names and addresses of a testbed's network. Every testbed has namespaces of its own, so all use the same addresses.

import { UsageError } from '../../src/index.ts';

export type HostName = 'src' | 'dst' | 'client';
/** A host that can run the guest. */
export type HypervisorName = 'src' | 'dst';

export const HOSTS: readonly HostName[] = ['src', 'dst', 'client'];
export const HYPERVISORS: readonly HypervisorName[] = ['src', 'dst'];

export interface Endpoint {
  readonly ip: string;
  readonly mac: string;
}

const FIRST_GUEST = 10;
/** So many guests a testbed can have at once. */
export const MAX_GUESTS = 16;

/** Of the guest of that number, from 0. */
export function guestEndpoint(index: number): Endpoint {
  const host = FIRST_GUEST + index;
  return { ip: `10.77.0.${host}`, mac: `52:54:00:77:01:${host.toString(16).padStart(2, '0')}` };
}

/** Hosts' and guest's addresses; the network is 10.77.0.0/24. */
export const ENDPOINTS: Readonly<Record<HostName | 'guest', Endpoint>> = {
  src: { ip: '10.77.0.1', mac: '52:54:00:77:00:01' },
  dst: { ip: '10.77.0.2', mac: '52:54:00:77:00:02' },
  client: { ip: '10.77.0.3', mac: '52:54:00:77:00:03' },
  guest: guestEndpoint(0),
};

export const PREFIX_LENGTH = 24;
export const MTU_BYTES = 1500;

/** The host's only NIC: migration and guest share it. */
export const HOST_NIC = 'eth0';
/** On src and dst: joins NIC and guest, and holds the host's address. */
export const HOST_BRIDGE = 'br0';
/** Of the guest of that number, from 0. */
export function guestTap(index: number): string {
  return `tap${index}`;
}
export const GUEST_TAP = guestTap(0);
/** Where a neighbour, a network namespace that stands for a VM which stays, is joined to its host's bridge. */
export const NEIGHBOUR_PORT = 'near0';
export const SWITCH_BRIDGE = 'sw0';

/** Beside each hypervisor: stands for its VMs that do not migrate. Made where it is asked for. */
export type NeighbourName = 'near-src' | 'near-dst';
export const NEIGHBOURS: Readonly<Record<HypervisorName, NeighbourName>> = {
  src: 'near-src',
  dst: 'near-dst',
};
export const NEIGHBOUR_ENDPOINTS: Readonly<Record<NeighbourName, Endpoint>> = {
  'near-src': { ip: '10.77.0.201', mac: '52:54:00:77:02:01' },
  'near-dst': { ip: '10.77.0.202', mac: '52:54:00:77:02:02' },
};

/** Everything that has a namespace of its own. */
export type TestbedMember = HostName | NeighbourName | 'sw';

/** The namespaces of a testbed. They are named files under /run/netns. */
export function namespaceOf(testbed: string, member: TestbedMember): string {
  return `${testbed}-${member}`;
}

/** Those that every testbed has. */
export function namespacesOf(testbed: string): string[] {
  return [...HOSTS, 'sw' as const].map((member) => namespaceOf(testbed, member));
}

/** And those that it may have. */
export function allNamespacesOf(testbed: string): string[] {
  return [
    ...namespacesOf(testbed),
    ...Object.values(NEIGHBOURS).map((member) => namespaceOf(testbed, member)),
  ];
}

/** The switch's port of a host: its egress is the direction switch to host. */
export function switchPort(host: HostName): string {
  return `p-${host}`;
}

/** The switch's shaping device for the direction host to switch. */
export function switchInlet(host: HostName): string {
  return `i-${host}`;
}

/** The device that holds the host's own address. */
export function addressDevice(host: HostName): string {
  return host === 'client' ? HOST_NIC : HOST_BRIDGE;
}

/** Checks a testbed's name: it becomes part of namespace and directory names. @throws UsageError */
export function checkName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
    throw new UsageError(`wanted a testbed name of up to 31 of a-z, 0-9 and "-", got "${name}"`, {
      remedy: 'for example: --name lab1',
    });
  }
  return name;
}
