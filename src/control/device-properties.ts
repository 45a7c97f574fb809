// SPDX-License-Identifier: Apache-2.0
// The properties of an operator's devices (-device, device_add) that decide whether one QEMU can load what another saved:
// the feature bits and queue layout. A destination that differs in one fails to load the device; in post-copy on QEMU 10.0
// that loses the guest, so it is found out before.

import { type QmpClient, QmpCommandError } from '../qmp/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';

/** Device and property, such as `virtio-net-pci net0: mrg_rxbuf`, to its value. */
export type DeviceProperties = ReadonlyMap<string, string>;

const ROOTS = ['/machine/peripheral', '/machine/peripheral-anon'];
// Feature bits are booleans; these booleans are states of the moment or of the host.
const NOT_FEATURES = new Set(['realized', 'hotplugged', 'hotpluggable', 'share-rw']);
// Of the numbers only the layout counts: most others are the host's (sector sizes) or change nothing that is saved.
const LAYOUT = new Set([
  'num-queues',
  'num_queues',
  'queue-size',
  'rx_queue_size',
  'tx_queue_size',
  'vectors',
  'max_ports',
  'host_mtu',
]);

/** Reads them at a rate of about 10 000 a second; a virtio device has 50 to 80. */
export async function readDeviceProperties(client: QmpClient): Promise<DeviceProperties> {
  const options = { timeoutMs: QUERY_TIMEOUT_MS };
  const properties = new Map<string, string>();
  const readDevice = async (path: string, label: string): Promise<void> => {
    const names = (await client.execute('qom-list', { path }, options))
      .filter(({ name, type }) => (type === 'bool' && !NOT_FEATURES.has(name)) || LAYOUT.has(name))
      .map(({ name }) => name);
    await Promise.all(
      names.map(async (property) => {
        try {
          const value = await client.execute('qom-get', { path, property }, options);
          properties.set(`${label}: ${property}`, JSON.stringify(value));
        } catch (error) {
          // A property that cannot be read in this state says nothing.
          if (!(error instanceof QmpCommandError)) throw error;
        }
      }),
    );
  };
  for (const root of ROOTS) {
    const seen = new Map<string, number>();
    for (const { name, type } of await client.execute('qom-list', { path: root }, options)) {
      const model = /^child<(.+)>$/.exec(type)?.[1];
      if (model === undefined) continue;
      // Devices without an id are numbered by QEMU in the order of their coming: here among those of their own model.
      const count = (seen.get(model) ?? 0) + 1;
      seen.set(model, count);
      const label = root.endsWith('anon') ? `${model} #${count}` : `${model} ${name}`;
      await readDevice(`${root}/${name}`, label);
    }
  }
  return properties;
}

/** The first differences in words; null when both hold the same, as far as both have the property. */
export function compareDeviceProperties(
  source: DeviceProperties,
  destination: DeviceProperties,
): string | null {
  const differences = [...source].flatMap(([name, here]) => {
    const there = destination.get(name);
    // Another QEMU version may have properties that the machine type keeps as they were.
    return there === undefined || there === here
      ? []
      : [`${name} is ${here} on the source, ${there} on the destination`];
  });
  return differences.length === 0
    ? null
    : `device settings differ: ${differences.sort().slice(0, 5).join('; ')}`;
}
