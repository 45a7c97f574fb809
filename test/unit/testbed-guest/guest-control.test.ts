// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Test } from 'tap';
import { test } from 'tap';
import { formatLine, LineReader } from '../../../testbed/guest/checked-line.ts';
import { GuestControl } from '../../../testbed/guest/index.ts';

test('a line comes through in any pieces and behind any noise', (t) => {
  const noise = fc.string({ maxLength: 40 });
  const payload = fc.stringMatching(/^[ -~]{1,60}$/);
  fc.assert(
    fc.property(
      fc.array(payload, { minLength: 1, maxLength: 5 }),
      noise,
      fc.nat(30),
      (payloads, dirt, at) => {
        const text = dirt + payloads.map(formatLine).join('');
        const reader = new LineReader();
        t.strictSame([...reader.push(text.slice(0, at)), ...reader.push(text.slice(at))], payloads);
      },
    ),
  );
  t.end();
});

test('a line with one wrong character is dropped', (t) => {
  const line = formatLine('{"id":"a"}');
  for (let i = 1; i < line.length - 1; i++) {
    t.same(new LineReader().push(`${line.slice(0, i)}~${line.slice(i + 1)}`), []);
  }
  t.end();
});

/** A path for a socket: at most 107 bytes, which a test's own directory would exceed. */
function socketPath(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'slackwater-test-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'ctl');
}

/** A guest that answers a request with what `answer` returns, or not at all. */
async function fakeGuest(
  path: string,
  answer: (id: string, command: string, times: number) => string | undefined,
): Promise<Server> {
  const times = new Map<string, number>();
  const server = createServer((socket) => {
    const reader = new LineReader();
    socket.setEncoding('latin1').on('data', (piece) => {
      for (const request of reader.push(String(piece))) {
        const [id = '', ...rest] = request.split(' ');
        times.set(id, (times.get(id) ?? 0) + 1);
        const reply = answer(id, rest.join(' '), times.get(id) ?? 0);
        if (reply === 'hang up') socket.destroy();
        else if (reply !== undefined) socket.write(`half a li${formatLine(reply)}`);
      }
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

test('a request is repeated under its id until it is answered, one request at a time', async (t) => {
  const path = socketPath(t);
  const seen: string[] = [];
  const server = await fakeGuest(path, (id, command, times) => {
    seen.push(command);
    if (command === 'ping' && times < 2) return undefined;
    return JSON.stringify({
      id,
      ok: true,
      page: 3,
      physicalAddress: 4096,
      kind: 'hot',
      expectedVersion: 1,
      gotVersion: 1,
    });
  });
  t.teardown(() => server.close());
  const guest = await GuestControl.connect(path);
  t.teardown(() => guest.close());
  const [, where] = await Promise.all([guest.ping(), guest.where('hot', 5)]);
  t.equal(where.physicalAddress, 4096);
  t.same(seen, ['ping', 'ping', 'where hot 5']);
});

test('a refusal, silence and a lost connection are told apart', async (t) => {
  const path = socketPath(t);
  const server = await fakeGuest(path, (id, command) => {
    if (command.startsWith('pattern')) return JSON.stringify({ id, ok: false, error: 'set too large' });
    return command === 'resume' ? 'hang up' : undefined;
  });
  t.teardown(() => server.close());
  const guest = await GuestControl.connect(path);
  await t.rejects(guest.setPattern({ kind: 'idle' }), {
    code: 'ERR_TESTBED_GUEST_CONTROL',
    message: /refused "pattern idle": set too large/,
  });
  await t.rejects(guest.ping({ timeoutMs: 50 }), { message: /no answer to "ping" within 50 ms/ });
  await t.rejects(guest.resume(), { message: /gone/ });
  await t.rejects(guest.ping(), { message: /gone/ });
  guest.close();
});

test('an answer that lacks a field is not taken', async (t) => {
  const path = socketPath(t);
  const server = await fakeGuest(path, (id) => JSON.stringify({ id, ok: true, ready: true }));
  t.teardown(() => server.close());
  const guest = await GuestControl.connect(path);
  t.teardown(() => guest.close());
  await t.rejects(guest.status(), { message: /wanted paused as boolean/ });
});

test('connecting gives up with the path and a remedy', async (t) => {
  await t.rejects(GuestControl.connect(socketPath(t), 50), {
    code: 'ERR_TESTBED_GUEST_CONTROL',
    remedy: /-serial chardev:ctl/,
  });
});
