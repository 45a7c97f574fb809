// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { CHECKS, hasNetAndSysAdmin, isAtLeast, isStaticElf } from '../../../src/cli/doctor/checks.ts';
import { formatResults, isLacking, runChecks } from '../../../src/cli/doctor/run-checks.ts';

t.test('versions compare as numbers', (t) => {
  const wanted = { major: 10, minor: 2 };
  t.ok(isAtLeast('10.2.0', wanted));
  t.ok(isAtLeast('v11.0', wanted));
  t.notOk(isAtLeast('10.1.9', wanted));
  t.notOk(isAtLeast('9.20.0', wanted));
  t.end();
});

t.test('capabilities are read from the kernel', (t) => {
  t.ok(hasNetAndSysAdmin('Name:\tx\nCapEff:\t000001ffffffffff\n'));
  t.notOk(hasNetAndSysAdmin('CapEff:\t0000000000001000\n'), 'NET_ADMIN alone');
  t.notOk(hasNetAndSysAdmin(''));
  t.end();
});

t.test('a program is static when it names no interpreter', (t) => {
  const elf = (programType: number) => {
    const bytes = Buffer.alloc(128);
    bytes.write('\x7fELF', 'latin1');
    bytes.writeBigUInt64LE(64n, 32);
    bytes.writeUInt16LE(56, 54);
    bytes.writeUInt16LE(1, 56);
    bytes.writeUInt32LE(programType, 64);
    return bytes;
  };
  t.ok(isStaticElf(elf(1)));
  t.notOk(isStaticElf(elf(3)));
  t.notOk(isStaticElf(Buffer.from('#!/bin/sh\n')));
  t.end();
});

t.test('only Node is needed to control migrations', (t) => {
  t.same(
    CHECKS.filter(({ neededFor }) => neededFor === 'control').map(({ name }) => name),
    ['node'],
  );
  t.end();
});

t.test('what is missing is shown with what for and how to get it', async (t) => {
  const check = { neededFor: 'testbed', whatFor: 'guests', remedy: 'install it' } as const;
  const results = await runChecks([
    { ...check, name: 'here', probe: () => Promise.resolve({ ok: true, found: 'v1' }) },
    { ...check, name: 'gone', probe: () => Promise.resolve({ ok: false, found: 'nothing' }) },
    { ...check, name: 'dark', probe: () => Promise.resolve({ ok: undefined, found: 'not root' }) },
    { ...check, name: 'nice', neededFor: 'info', probe: () => Promise.resolve({ ok: false, found: 'no' }) },
  ]);
  t.same(
    results.filter(isLacking).map(({ name }) => name),
    ['gone', 'dark'],
  );
  const text = formatResults(results);
  t.match(text, /missing +gone +nothing\n +for: guests\n +get: install it/);
  t.notMatch(text, /here[^\n]*\n +for:/);
});
