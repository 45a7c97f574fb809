// SPDX-License-Identifier: Apache-2.0
// QEMU's delta compression as a policy of its own: qemu-default, plus xbzrle with a cache of a tenth of the memory. QEMU
// wants the cache to be a power of two.

import { formatBytes } from '../../common/index.ts';
import type { Action, PolicyContext } from '../../model/index.ts';
import { setOperatorsDowntime, setParameters } from './actions.ts';
import { type Peer, peer } from './fold.ts';

const MEMORY_SHARE = 0.1;
const PAGE_BYTES = 4096;

/** Worked example: a tenth of 1 GiB is 102.4 MiB: 64 MiB rounded down, 128 MiB rounded up (as Proxmox does). */
export function enableXbzrle({ memoryBytes }: PolicyContext, rounding: 'down' | 'up'): Action {
  const exponent = Math.log2(Math.max(PAGE_BYTES, memoryBytes * MEMORY_SHARE));
  const xbzrleCacheBytes = 2 ** (rounding === 'down' ? Math.floor(exponent) : Math.ceil(exponent));
  const text = `xbzrle cache ${formatBytes(xbzrleCacheBytes)}: a tenth of the memory, as a power of two`;
  return setParameters({ xbzrleCacheBytes }, text, { xbzrleCacheBytes, memoryBytes });
}

export const xbzrlePeers: readonly Peer[] = [
  peer('xbzrle', false, {
    capabilities: ['xbzrle'],
    begin: (context) => ({
      memory: null,
      actions: [setOperatorsDowntime(context), enableXbzrle(context, 'down')],
    }),
  }),
];
