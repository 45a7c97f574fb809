// SPDX-License-Identifier: Apache-2.0
// Where a patched QEMU would refuse to leave pages out. Pure.

const CAPABILITIES = ['x-colo', 'background-snapshot', 'mapped-ram'];

/**
 * What of a migration stands against the levers; null: nothing. QEMU refuses its first deferral, and with RDMA the migration itself:
 * it is asked for neither.
 */
export function againstLevers(uri: string, capabilities: ReadonlyMap<string, boolean>): string | null {
  if (uri.startsWith('rdma:')) return 'the stream goes by RDMA';
  const name = CAPABILITIES.find((each) => capabilities.get(each) === true);
  return name === undefined ? null : `${name} is on`;
}
