// SPDX-License-Identifier: Apache-2.0
// What QMP shows of a machine, and whether two machines are the same. A destination that lacks a device cannot load the
// guest; in pre-copy that ends on the source, in post-copy (QEMU 10.0) it loses the guest. So it is found out before.

import { formatBytes } from '../common/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';

export interface Machine {
  readonly ramBytes: number;
  readonly type: string;
  readonly vcpus: number;
  /** PCI functions by place and id, other devices by their QOM type; repeated as often as they are there. */
  readonly devices: readonly string[];
}

// Where QEMU keeps devices: the machine's own, those of -device with and without an id, and those plugged into them.
const ROOTS = ['/machine/unattached', '/machine/peripheral', '/machine/peripheral-anon'];
const MAX_DEPTH = 4;
// Inner parts, which say nothing that their device does not say, and of which there are hundreds.
const INNER = /memory-region|^irq$|-bus$|^bus$|^(PCI|ISA|System|IDE|HD|SCSI)$|^iommu|^clock$/;

/** The QOM types below a path, depth first. */
async function typesBelow(client: QmpClient, path: string, depth: number): Promise<string[]> {
  const children = (await client.execute('qom-list', { path }, { timeoutMs: QUERY_TIMEOUT_MS })).flatMap(
    ({ name, type }) => {
      const child = /^child<(.+)>$/.exec(type)?.[1];
      return child === undefined || INNER.test(child) ? [] : [{ name, type: child }];
    },
  );
  const below =
    depth >= MAX_DEPTH
      ? []
      : await Promise.all(children.map(({ name }) => typesBelow(client, `${path}/${name}`, depth + 1)));
  return [...children.map(({ type }) => type), ...below.flat()];
}

export async function readMemoryBytes(client: QmpClient): Promise<number> {
  const memory = await client.execute('query-memory-size-summary', undefined, {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  return memory['base-memory'] + (memory['plugged-memory'] ?? 0);
}

export async function readMachine(client: QmpClient): Promise<Machine> {
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  const [ramBytes, type, vcpus, pci, ...trees] = await Promise.all([
    readMemoryBytes(client),
    client.execute('qom-get', { path: '/machine', property: 'type' }, options),
    client.execute('query-cpus-fast', undefined, options),
    client.execute('query-pci', undefined, options),
    ...ROOTS.map((root) => typesBelow(client, root, 1)),
  ]);
  const functions = pci.flatMap(({ bus, devices }) =>
    devices.map(
      ({ slot, function: fn, id }) =>
        `PCI ${bus}:${slot}.${fn} ${id.vendor.toString(16)}:${id.device.toString(16)}`,
    ),
  );
  return {
    ramBytes,
    type: typeof type === 'string' ? type : JSON.stringify(type),
    vcpus: vcpus.length,
    devices: [...functions, ...trees.flat()].sort(),
  };
}

/** What `a` has more of than `b`. */
function surplus(a: readonly string[], b: readonly string[]): string[] {
  const rest = [...b];
  return a.filter((each) => {
    const at = rest.indexOf(each);
    if (at === -1) return true;
    rest.splice(at, 1);
    return false;
  });
}

/** In words how the destination differs from the source; null when it does not, as far as QMP shows. */
export function compareMachines(source: Machine, destination: Machine): string | null {
  if (source.ramBytes !== destination.ramBytes) {
    return `the source has ${formatBytes(source.ramBytes)} of memory, the destination ${formatBytes(destination.ramBytes)}`;
  }
  if (source.type !== destination.type)
    return `the source is a ${source.type}, the destination a ${destination.type}`;
  if (source.vcpus !== destination.vcpus) {
    return `the source has ${source.vcpus} vCPUs, the destination ${destination.vcpus}`;
  }
  const lacking = surplus(source.devices, destination.devices);
  const more = surplus(destination.devices, source.devices);
  const parts = [
    ...(lacking.length > 0 ? [`the destination lacks ${lacking.join(', ')}`] : []),
    ...(more.length > 0 ? [`the source lacks ${more.join(', ')}`] : []),
  ];
  return parts.length > 0 ? `the devices differ: ${parts.join('; ')}` : null;
}
