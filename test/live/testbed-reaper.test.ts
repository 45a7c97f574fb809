// SPDX-License-Identifier: Apache-2.0
// Nothing of a testbed outlives it: not when its creator is killed at any moment, not when creation fails or is aborted; and
// nothing that is not ours is touched.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { presentNamespaces } from '../../testbed/host/reaper.ts';
import { createTestbed, findLeftovers, listTestbeds, reap, removeTestbed, run } from '../../testbed/index.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root for network namespaces';
const EMPTY = { namespaces: [], processes: [], files: [], rootInterfaces: [], rootQdiscs: [] };

const entry = new URL('../../testbed/index.ts', import.meta.url).href;
const creatorCode = (name: string) => `
  import { createTestbed } from '${entry}';
  console.log('creating');
  const testbed = await createTestbed({ name: '${name}', link: 'lan-1g' });
  console.log('created');
  for (const host of ['src', 'dst']) {
    await testbed.startQemu({ host, label: host, memoryMib: 64, vcpus: 1, incoming: host === 'dst', diskPath: testbed.diskPath, extraArgs: ['-S'] });
  }
  console.log('running');
  await testbed.measureGoodput({ durationS: 60 });
`;

/** Starts a creator and kills it `afterMs` after it printed `line`. */
async function killCreator(name: string, line: string, afterMs: number): Promise<void> {
  // Without the test runner's own loaders, which would make this a test file too.
  const env = { ...process.env, TAP: undefined, NODE_OPTIONS: undefined };
  const creator = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', creatorCode(name)],
    { stdio: ['ignore', 'pipe', 'inherit'], env },
  );
  for await (const got of createInterface({ input: creator.stdout })) if (got === line) break;
  await delay(afterMs);
  creator.kill('SIGKILL');
  if (creator.exitCode === null && creator.signalCode === null) await once(creator, 'exit');
}

t.test('reap leaves nothing of a testbed whose creator was killed', { skip }, async (t) => {
  const moments: [line: string, afterMs: number][] = [
    ...[0, 10, 25, 40, 60, 80, 100, 130, 160].map((ms): [string, number] => ['creating', ms]),
    ['created', 0],
    ['created', 40],
    ['created', 120],
    ['running', 0],
    ['running', 700],
  ];
  let foundSomething = 0;
  for (const [index, [line, afterMs]] of moments.entries()) {
    const name = `t-kill-${process.pid}-${index}`;
    await killCreator(name, line, afterMs);
    const { namespaces, files } = await findLeftovers(name);
    if (namespaces.length > 0 || files.length > 0) foundSomething++;
    await reap();
    t.same(
      await findLeftovers(name),
      EMPTY,
      `killed ${afterMs} ms after "${line}" with ${namespaces.length} namespaces`,
    );
  }
  t.ok(
    foundSomething >= 8,
    `${foundSomething} of ${moments.length} kills hit a testbed that was there in part or whole`,
  );
});

t.test('reap waits for what somebody else is removing', { skip }, async (t) => {
  const name = `t-both-${process.pid}`;
  await killCreator(name, 'created', 0);
  const other = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', `import { reap } from '${entry}'; await reap();`],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, TAP: undefined, NODE_OPTIONS: undefined },
    },
  );
  const ended = once(other, 'exit');
  // A removal looks twice, 100 ms apart: it cannot be over between two looks of ours.
  const isRemoving = () =>
    readdirSync('/run/slackwater-testbed').some((file) => file.startsWith(`.removing-${name}@`));
  while (other.exitCode === null && !isRemoving()) await delay(5);
  t.equal(other.exitCode, null, 'the other one is at it');
  await reap();
  t.same(await findLeftovers(name), EMPTY);
  await ended;
});

t.test('reap leaves alone what somebody looks after', { skip }, async (t) => {
  const testbed = await createTestbed({ name: `t-live-${process.pid}` });
  t.teardown(() => testbed.down());
  const before = await testbed.snapshotLeftovers();
  t.notOk((await reap()).includes(testbed.name));
  t.same(await testbed.snapshotLeftovers(), before, 'its creator runs');
  const listed = (await listTestbeds()).find(({ name }) => name === testbed.name);
  t.match(listed, { state: 'in-use', link: 'lan-1g', creatorPid: process.pid });
  await t.rejects(createTestbed({ name: testbed.name }), { code: 'ERR_REFUSED' }, 'a name is taken once');
  t.same(await testbed.snapshotLeftovers(), before, 'the refused creation took nothing with it');
});

t.test('an aborted creation leaves nothing', { skip }, async (t) => {
  // By what is there already, not by the clock: a whole creation takes 80 ms on an idle machine, and longer on a busy one.
  for (const namespaceCount of [0, 1, 2, 4]) {
    const name = `t-abort-${process.pid}-${namespaceCount}`;
    const reason = new Error('enough');
    const aborted = new AbortController();
    const creation = createTestbed({ name, signal: aborted.signal });
    const over = new AbortController();
    void creation.finally(() => over.abort()).catch(() => undefined);
    while (!over.signal.aborted && (await presentNamespaces(name)).length < namespaceCount) await delay(1);
    aborted.abort(reason);
    await t.rejects(creation, reason);
    t.same(await findLeftovers(name), EMPTY, `aborted with ${namespaceCount} namespaces`);
  }
});

t.test('a namespace of somebody else is refused, not removed', { skip }, async (t) => {
  const name = `t-foreign-${process.pid}`;
  await run(['ip', 'netns', 'add', `${name}-dst`]);
  t.teardown(async () => {
    await run(['ip', 'netns', 'delete', `${name}-dst`]);
  });
  await t.rejects(createTestbed({ name }), { code: 'ERR_REFUSED' });
  await t.rejects(removeTestbed(name), { code: 'ERR_TESTBED_NOT_FOUND' });
  await reap();
  t.ok(readdirSync('/run/netns').includes(`${name}-dst`));
});

t.test('removing a testbed under its creator makes creation fail and leaves nothing', { skip }, async (t) => {
  const name = `t-under-${process.pid}`;
  const creation = createTestbed({ name }).then(
    () => 'created',
    () => 'failed',
  );
  await delay(60);
  await removeTestbed(name).catch(() => undefined);
  if ((await creation) === 'created') await removeTestbed(name);
  t.same(await findLeftovers(name), EMPTY);
});
