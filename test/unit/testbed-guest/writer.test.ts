// SPDX-License-Identifier: Apache-2.0
// The guest's own program, run on this machine with a small arena: what it writes is what its check expects.

import type { ChildProcessByStdio } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { formatLine, LineReader } from '../../../testbed/guest/checked-line.ts';
import { parsePattern } from '../../../testbed/guest/index.ts';
import { readCoherenceReport, readPageLocation, readStatus } from '../../../testbed/guest/reports.ts';
import { nativeDir } from '../../../testbed/image/build-cache.ts';

const hasCompiler =
  spawnSync('gcc', ['--version']).status === 0 && spawnSync('make', ['--version']).status === 0;
const skip = hasCompiler && process.getuid?.() === 0 ? false : 'needs gcc, make and root (locked memory)';

class Writer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: string[] = [];
  #count = 0;

  constructor(program: string, pattern: string) {
    this.#child = spawn(program, ['-c', '-', '-m', '16', '-s', '7', '-p', pattern], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const reader = new LineReader();
    this.#child.stdout.setEncoding('latin1').on('data', (piece: string) => {
      this.#answers.push(...reader.push(piece));
    });
  }

  async ask(command: string, id = `t${this.#count++}`): Promise<Readonly<Record<string, unknown>>> {
    this.#child.stdin.write(formatLine(`${id} ${command}`));
    for (let waitedMs = 0; this.#answers.length === 0 && waitedMs < 20_000; waitedMs += 5) await sleep(5);
    const fields = JSON.parse(this.#answers.shift() ?? '{"ok":"no answer"}') as Record<string, unknown>;
    return fields['id'] === id ? fields : { ok: 'answer to another request', ...fields };
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

test('every pattern passes its own check, and patterns may follow one another', { skip }, async (t) => {
  const out = t.testdir();
  t.equal(spawnSync('make', ['-s', '-C', join(nativeDir(), 'guest'), `OUT=${out}`]).status, 0);
  const writer = new Writer(join(out, 'dirty'), 'steady:set=1M,rate=40M');
  t.teardown(() => writer.stop());
  const patterns = [
    'steady:set=2M,rate=40M,order=random,offset=4M',
    'steady:set=4M,rate=400M,touch=8',
    'drift:set=1M,rate=60M,step=256K',
    'drift:set=1M,rate=60M,step=256K,order=random,offset=14M',
    'zipf:set=8M,rate=40M,exponent=1.1,offset=8M',
    'readmostly:set=2M,rate=60M,writes=0.2,order=random',
    'burst:set=1M,rate=80M,on=20ms,off=30ms',
    'phases:steady:set=1M,rate=40M,for=30ms/idle:for=10ms/drift:set=512K,rate=20M,step=64K,for=25ms/zipf:set=1M,rate=9M,for=33ms',
    'idle',
  ];
  for (const pattern of patterns) {
    t.ok(parsePattern(pattern), 'the TypeScript reader knows it too');
    t.equal((await writer.ask(`pattern ${pattern}`))['ok'], true, pattern);
    await sleep(150);
    const report = readCoherenceReport(await writer.ask('verify'));
    t.ok(report.coherent, `coherent after ${pattern}: ${JSON.stringify(report.badPages)}`);
    t.equal(report.hotPages + report.coldPages, 4096);
  }
  const before = readStatus(await writer.ask('pause'));
  t.ok(before.paused);
  await sleep(30);
  t.equal(readStatus(await writer.ask('status')).steps, before.steps, 'a paused writer does nothing');
  t.equal(readPageLocation(await writer.ask('where hot 0')).kind, 'hot');
});

test('a repeated request is done once, a wrong one is refused', { skip }, async (t) => {
  const out = t.testdir();
  t.equal(spawnSync('make', ['-s', '-C', join(nativeDir(), 'guest'), `OUT=${out}`]).status, 0);
  const writer = new Writer(join(out, 'dirty'), 'idle');
  t.teardown(() => writer.stop());
  const pattern = 'pattern steady:set=1M,rate=1M';
  t.same(await writer.ask(pattern, 'same'), { id: 'same', ok: true });
  t.same(await writer.ask(pattern, 'same'), { id: 'same', ok: true });
  for (const [command, why] of [
    ['pattern steady:set=64M,rate=1M', /16384 pages, the arena has 4096/],
    ['pattern steady:rate=1M', /needs set= and rate=/],
    ['pattern steady:set=1M,rate=1M,colour=red', /cannot read colour=red/],
    ['pattern zipf:set=1M,rate=1M,exponent=9', /exponent/],
    ['pattern phases:idle/idle:for=1s', /needs for=/],
    ['where hot 99999', /not so many/],
    ['where', /wanted: where/],
    ['dance', /unknown command/],
  ] as const) {
    const answer = await writer.ask(command);
    t.equal(answer['ok'], false, command);
    t.match(answer['error'], why);
  }
  for (let i = 0; i < 62; i++) await writer.ask('pattern idle');
  t.match((await writer.ask('pattern idle'))['error'], /too many patterns/);
});
