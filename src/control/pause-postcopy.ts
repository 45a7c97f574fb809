// SPDX-License-Identifier: Apache-2.0
// Pauses a post-copy at the source, so that it can be recovered over another connection.

import type { QmpClient } from '../qmp/index.ts';
import { QmpCommandError, QmpTimeoutError } from '../qmp/index.ts';

/**
 * QEMU's own `migrate-pause` closes the main connection alone. Over a cut link a thread of the source may stand in a write to the
 * connection of requested pages, whose buffer is full (with pages of 2 MiB one request is enough): the migration then stays
 * `postcopy-active` until TCP gives up, many minutes later. `yank` closes that one, too.
 */
export async function pauseSource(client: QmpClient, options: { readonly timeoutMs: number }): Promise<void> {
  await client.executeOob('migrate-pause', undefined, options);
  try {
    await client.executeOob('yank', { instances: [{ type: 'migration' }] }, options);
  } catch (error) {
    // The migration is over, or nobody answers; whether it is paused is for the caller to look at.
    if (!(error instanceof QmpCommandError || error instanceof QmpTimeoutError)) throw error;
  }
}
