// SPDX-License-Identifier: Apache-2.0
// What is said of a QEMU that hangs up on whoever asks it: that it has ended, as soon as it has, and not before.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { askEnd } from '../../src/control/conclude.ts';

/** A monitor that hangs up at once, as one of a process that is being ended. */
async function endingMonitor(t: Test): Promise<{ readonly path: string; readonly server: Server }> {
  // Not in the test's own folder: a socket's path is cut after 107 bytes, and a work tree may lie deep.
  const folder = mkdtempSync(join(tmpdir(), 'ask-end-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'qmp');
  const server = createServer((socket) => socket.destroy()).listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  return { path, server };
}

/** Time passes when it is slept, and `onSleep` happens then. */
function clockOf(onSleep: (count: number) => void = () => undefined) {
  let nowMs = 0;
  let count = 0;
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms: number) => {
      await Promise.resolve();
      nowMs += ms;
      onSleep(++count);
    },
  };
}

t.test('a QEMU that is about to end is asked until it has', async (t) => {
  const { path, server } = await endingMonitor(t);
  const clock = clockOf((count) => {
    if (count !== 5) return;
    server.close();
    rmSync(path, { force: true });
  });
  t.same(await askEnd(null, { kind: 'unix', path }, clock), { kind: 'dead' });
});

t.test('one that goes on hanging up is not called dead', async (t) => {
  const { path } = await endingMonitor(t);
  t.match(await askEnd(null, { kind: 'unix', path }, clockOf()), {
    kind: 'silent',
    why: /ended the connection/,
  });
});
