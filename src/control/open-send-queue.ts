// SPDX-License-Identifier: Apache-2.0
// The send queue of a migration that is about to begin: how long it may grow, and whether it can be made short.

import { readFileSync } from 'node:fs';
import { hasPageLevers, type QemuInstance, SendQueue, SendQueueError } from '../act/index.ts';
import { loadAddon } from '../bitmap/index.ts';
import { SEND_QUEUE_BYTES } from '../model/index.ts';
import type { QmpSchema } from '../qmp/index.ts';
import type { Endpoint } from './endpoint.ts';
import type { Reporter } from './types.ts';

/** The largest send buffer on this host; the default where it cannot be read. */
export function readSendQueueBytes(): number {
  try {
    const [, , largest] = readFileSync('/proc/sys/net/ipv4/tcp_wmem', 'utf8').trim().split(/\s+/).map(Number);
    return largest ?? SEND_QUEUE_BYTES;
  } catch {
    return SEND_QUEUE_BYTES;
  }
}

/** @throws SendQueueError where it cannot be made short from here */
function reach(instance: QemuInstance, port: number | null): SendQueue {
  const { addon } = loadAddon();
  if (addon === null) throw new SendQueueError('the native addon is not there');
  return SendQueue.open(addon.sockets, instance, port);
}

/** Whether a migration of this QEMU would have its send queue made short. */
export function shortensQueueOf({ instance }: Endpoint, schema: QmpSchema): boolean {
  try {
    return !hasPageLevers(schema) && reach(instance, null) instanceof SendQueue;
  } catch (error) {
    if (error instanceof SendQueueError) return false;
    throw error;
  }
}

/**
 * Of the next migration of this QEMU, to that port where it is known. Null where it need not be made short (pre-copy only, a
 * patched QEMU that keeps it short itself) or cannot be, which is said.
 */
export function openSendQueue(
  { instance }: Endpoint,
  migration: { readonly port: number | null; readonly mayPostcopy: boolean; readonly schema: QmpSchema },
  reporter: Reporter,
): SendQueue | null {
  if (!migration.mayPostcopy || hasPageLevers(migration.schema)) return null;
  try {
    return reach(instance, migration.port);
  } catch (error) {
    if (!(error instanceof SendQueueError)) throw error;
    reporter.note(`${error.message}: a switch to post-copy comes later, and the guest is silent for longer`);
    return null;
  }
}
