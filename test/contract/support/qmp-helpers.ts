// SPDX-License-Identifier: Apache-2.0
// Short words for what tests against a fake monitor do all the time.

import { setImmediate as turn } from 'node:timers/promises';
import { FakeQmpServer } from './fake-qmp-server.ts';
import type { FakeQmpOptions } from './fake-qmp-server.ts';

/** A fake monitor that is closed with the test. */
export async function serve(
  t: { teardown(work: () => Promise<void>): void },
  options: FakeQmpOptions = {},
): Promise<FakeQmpServer> {
  const server = await FakeQmpServer.listen(options);
  t.teardown(() => server.close());
  return server;
}

/** What a promise rejects with; undefined when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Lets the sockets of both sides do all they can. */
export async function settle(until: () => boolean): Promise<void> {
  while (!until()) await turn();
}
