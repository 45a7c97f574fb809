// SPDX-License-Identifier: Apache-2.0
// The patched QEMU under KVM, whose dirty log and page faults are others than TCG's, with a guest of one sector: that much
// runs also where KVM boots no whole system.

import { access, constants, open, readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { RingReader } from '../../src/bitmap/index.ts';
import { connectQmp } from '../../src/qmp/index.ts';
import { readTrace } from '../../src/record/index.ts';
import { ensurePatchedQemu } from '../../testbed/image/index.ts';
import { createTestbed, type Qemu, run, type Testbed } from '../../testbed/index.ts';
import { ENDPOINTS } from '../../testbed/net/plan.ts';
import { runController } from '../../testbed/stage/controller.ts';

// As in boot-sector.S.
const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
const BEGIN = 1 * MIB;
const WINDOW_BYTES = 8 * MIB;
const WINDOWS = 4;
const WINDOW_PAGES = WINDOW_BYTES / PAGE_BYTES;

const STOCK = '/usr/bin/qemu-system-x86_64';
const BOOTS_WITHIN_MS = 30_000;

// Journals of its own: another controller on this machine has its in the common folder.
process.env['SLACKWATER_RUNTIME_DIR'] = `/run/slackwater-test-${process.pid}`;

/** Has the guest go on to its next window; false when it did not answer in time. */
async function nextWindow(qemu: Qemu, timeoutMs = 5000): Promise<boolean> {
  const socket = connect(qemu.controlPath);
  try {
    await once(socket, 'connect');
    socket.write('n');
    const answer = once(socket, 'data', { signal: AbortSignal.timeout(timeoutMs) });
    return String((await answer)[0]).includes('N');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The guest's counts, window by window, while it is stopped for that. */
async function countsOf(t: Test, qemu: Qemu): Promise<Uint32Array[]> {
  const path = join(t.testdirName, `memory-${qemu.pid}`);
  await using client = await connectQmp(qemu.monitorPath);
  await client.executeRaw('stop');
  const area = { val: BEGIN, size: WINDOWS * WINDOW_BYTES, filename: path };
  await client.executeRaw('pmemsave', area);
  await client.executeRaw('cont');
  const bytes = await readFile(path);
  const pages = Uint32Array.from({ length: WINDOWS * WINDOW_PAGES }, (_, i) =>
    bytes.readUInt32LE(i * PAGE_BYTES),
  );
  return Array.from({ length: WINDOWS }, (_, i) => pages.subarray(i * WINDOW_PAGES, (i + 1) * WINDOW_PAGES));
}

/** No count is lost or stale: n+1 up to some page of a window, n from there. And the guest goes on counting. */
async function checkCounts(t: Test, qemu: Qemu): Promise<void> {
  const windows = await countsOf(t, qemu);
  const steps = windows.map((counts) =>
    counts.reduce((sum, count, i) => sum + Math.abs(count - (counts[i + 1] ?? count)), 0),
  );
  const falls = windows.map((counts) => (counts[0] ?? 0) - (counts.at(-1) ?? 0));
  t.ok(
    windows.every((counts, i) => (counts[0] ?? 0) > 0 && steps[i] === falls[i] && (falls[i] ?? 2) <= 1),
    `counts are coherent: ${JSON.stringify({ steps, falls })}`,
  );
  const total = (all: readonly Uint32Array[]): number =>
    all.flatMap((counts) => [...counts]).reduce((a, b) => a + b, 0);
  const before = total(windows);
  await delay(300);
  t.ok(total(await countsOf(t, qemu)) > before, 'the guest goes on counting');
}

async function bootUnderKvm(t: Test): Promise<{ testbed: Testbed; source: Qemu; start: StartQemu } | string> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return 'there is no usable /dev/kvm';
  }
  const sectorPath = join(t.testdir(), 'sector');
  const code = join(import.meta.dirname, 'support', 'boot-sector.S');
  const linking = '-Wl,-Ttext=0x7c00,--build-id=none,--oformat=binary';
  await run(['gcc', '-m32', '-nostdlib', '-static', linking, '-o', sectorPath, code]);
  const qemuPath = await ensurePatchedQemu({ onProgress: (line) => t.comment(line) });
  // Slower than one window is rewritten: pre-copy alone cannot end.
  const testbed = await createTestbed({ name: `t-kvm-${process.pid}`, link: 'lan-100m' });
  t.teardown(() => testbed.down());
  await using disk = await open(testbed.diskPath, 'r+');
  await disk.write(await readFile(sectorPath), 0, 512, 0);
  const start: StartQemu = (host, label, other = qemuPath) =>
    testbed.startQemu({
      host,
      label,
      incoming: label !== 'first',
      qemuPath: other,
      memoryMib: 64,
      vcpus: 1,
      accelerator: 'kvm',
      cpuModel: 'qemu64',
      diskPath: testbed.diskPath,
    });
  const source = await start('src', 'first');
  const beganMs = performance.now();
  while (!(await nextWindow(source, 1000))) {
    if (performance.now() - beganMs > BOOTS_WITHIN_MS) return 'KVM does not even run a boot sector here';
  }
  return { testbed, source, start };
}

type StartQemu = (host: 'src' | 'dst', label: string, qemuPath?: string) => Promise<Qemu>;

/** Which pages of the guest's windows the newest round of the ring found dirtied, by window. */
function dirtiedByWindow(path: string): number[] {
  const ring = RingReader.open(path, null);
  try {
    const block = ring.read(ring.latestSequence())?.blocks.find(({ name }) => name === 'pc.ram');
    const isDirty = (page: number): number => ((block?.dirtied[page >> 3] ?? 0) >> (page & 7)) & 1;
    return Array.from({ length: WINDOWS }, (_, window) => {
      const first = (BEGIN + window * WINDOW_BYTES) / PAGE_BYTES;
      return Array.from({ length: WINDOW_PAGES }, (_, i) => isDirty(first + i)).reduce((a, b) => a + b, 0);
    });
  } finally {
    ring.close();
  }
}

t.test('under KVM the pages are seen and the levers work, and no write is lost', async (t) => {
  const booted = await bootUnderKvm(t);
  if (typeof booted === 'string') {
    t.pass(booted, { skip: booted });
    return;
  }
  const { source, start } = booted;

  // Before a migration: a window shows while it is written, and no longer than that.
  const ring = join(t.testdirName, 'ring');
  {
    await using client = await connectQmp(source.monitorPath);
    await (await open(ring, 'w')).close();
    await client.executeRaw('x-slackwater-observe', { rounds: true, ring, slots: 16 });
    await client.executeRaw('x-slackwater-track', { interval: 200 });
    await delay(700);
    const first = dirtiedByWindow(ring);
    const window = first.indexOf(WINDOW_PAGES);
    t.same(
      first,
      [0, 1, 2, 3].map((i) => (i === window ? WINDOW_PAGES : 0)),
    );
    t.ok(await nextWindow(source));
    await delay(700);
    t.same(
      dirtiedByWindow(ring),
      [0, 1, 2, 3].map((i) => (i === (window + 1) % WINDOWS ? WINDOW_PAGES : 0)),
    );
    await client.executeRaw('x-slackwater-observe', { rounds: false });
  }

  // The guest leaves the window that was deferred in the middle of the pass: it cools, the next one heats.
  const destination = await start('dst', 'second', STOCK);
  const trace = join(t.testdirName, 'trace');
  const migrate = (from: Qemu, to: Qemu, port: number, ...more: string[]) =>
    runController([
      ...['migrate', '--qmp', from.qmpPath, '--dest-qmp', to.qmpPath, '--json', ...more],
      ...['--to', `tcp:${ENDPOINTS[to.host].ip}:${port}`],
    ]);
  const migrating = migrate(source, destination, 4441, '--trace', trace);
  await delay(3500);
  t.ok(await nextWindow(source), 'the guest runs meanwhile');
  const { exitCode, document, stderr } = await migrating;
  t.equal(exitCode, 0, stderr);
  const actions = readTrace(trace).rows.filter(({ type }) => type === 'action');
  const deferredBytes = actions
    .filter(({ fields }) => fields['kind'] === 'defer')
    .map(({ fields }) => (fields['numbers'] as Record<string, number>)['deferredBytes'] ?? 0);
  t.ok(Math.max(...deferredBytes) >= WINDOW_BYTES, `left out: ${deferredBytes.join(', ')} bytes`);
  t.comment(`${document?.tmt_ms?.toFixed(0)} ms, ${document?.used_postcopy === true ? 'post' : 'pre'}-copy`);
  await checkCounts(t, destination);

  source.kill('SIGKILL');
  await source.exited;
  const back = await start('src', 'third');
  const returned = await migrate(destination, back, 4442);
  t.equal(returned.exitCode, 0, returned.stderr);
  await checkCounts(t, back);
});
