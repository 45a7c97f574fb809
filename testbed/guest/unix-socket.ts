// SPDX-License-Identifier: Apache-2.0
// Connects to a unix socket that a QEMU is about to make.

import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

async function tryConnect(path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** A connected socket; tries again until `timeoutMs` have passed, then rejects with the last error. */
export async function connectUnix(path: string, timeoutMs: number): Promise<Socket> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await tryConnect(path);
    } catch (error) {
      if (performance.now() >= deadlineMs) throw error;
      await sleep(20);
    }
  }
}
