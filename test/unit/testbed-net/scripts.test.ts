// SPDX-License-Identifier: Apache-2.0
// The scripts of a fresh clone are plain JavaScript; their pure parts are tested here.

import t from 'tap';

interface Counter {
  counts: { passed: number; failed: number; skipped: number };
  failures: { where: string; diagnosis: string }[];
  sawPlan: boolean;
  line(line: string): void;
}
type Entry = Map<string, string>;

const script = async (name: string): Promise<unknown> =>
  await import(new URL(`../../../scripts/${name}`, import.meta.url).href);
const { TapCounter } = (await script('tap-count.mjs')) as {
  TapCounter: new (onTest: (test: { result: string; where: string; reason: string }) => void) => Counter;
};
const { findSourceEntry, stanzaFor } = (await script('debian-sources.mjs')) as {
  findSourceEntry: (files: { path: string; text: string }[], codename: string) => Entry | undefined;
  stanzaFor: (entry: Entry, suite: string) => string;
};

function count(tap: string) {
  const seen: string[] = [];
  const counter = new TapCounter(({ result, where, reason }) =>
    seen.push(`${result} ${where} ${reason}`.trim()),
  );
  for (const line of tap.split('\n')) counter.line(line);
  return { ...counter, seen };
}

t.test('a test is an innermost subtest, a skip keeps its reason, a failure its diagnosis', (t) => {
  const { counts, seen, failures, sawPlan } = count(`TAP version 14
1..2
# Subtest: a.test.ts
    # Subtest: outer
        ok 1 - assertion of outer
        # Subtest: inner
            ok 1 - x
            1..1
        ok 2 - inner # time=1ms
        1..2
    ok 1 - outer # time=2ms
    ok 2 - not here # SKIP needs root
    # Subtest: bad
        not ok 1 - one is two
          ---
          diff: |
            ok 7 - text of a diagnosis, no test point
          ...
        1..1
    not ok 3 - bad # time=3ms
      ---
      source: of the call
      ...
    1..3
not ok 1 - a.test.ts # time=9ms
# Subtest: b.test.ts
    ok 1 - flat
    1..1
ok 2 - b.test.ts # time=1ms`);
  t.same(counts, { passed: 2, failed: 1, skipped: 1 });
  t.same(seen, [
    'passed a.test.ts > outer > inner',
    'skipped a.test.ts > not here needs root',
    'failed a.test.ts > bad',
    'passed b.test.ts',
  ]);
  t.equal(failures[0]?.where, 'a.test.ts > bad');
  t.match(failures[0]?.diagnosis, /one is two[^]*no test point/);
  t.ok(sawPlan);
  t.end();
});

t.test('a file that dies outside its tests counts as a failure', (t) => {
  const { counts } = count(`1..1
# Subtest: a.test.ts
    # Subtest: good
        ok 1 - x
        1..1
    ok 1 - good
    not ok 2 - boom
    1..2
not ok 1 - a.test.ts`);
  t.same(counts, { passed: 1, failed: 1, skipped: 0 });
  t.same(count('TAP version 14').sawPlan, false);
  t.end();
});

t.test('what a teardown threw is told, though it stands beside its test', (t) => {
  const { counts, failures } = count(`# Subtest: a.test.ts
    # Subtest: outer
        # Subtest: inner
            ok 1 - x
            1..1
        ok 1 - inner
        1..1
    not ok 1 - outer
    not ok 2 - boom
      ---
      stack: of the teardown
      ...
    1..2
not ok 1 - a.test.ts`);
  t.same(counts, { passed: 1, failed: 1, skipped: 0 });
  t.match(failures, [
    { where: 'a.test.ts > outer' },
    { where: 'a.test.ts', diagnosis: /boom[^]*of the teardown/ },
  ]);
  t.end();
});

t.test("another suite comes from the machine's own Debian source", (t) => {
  const deb822 = `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
`;
  const files = [
    { path: '/etc/apt/sources.list', text: '# deb http://old.example bookworm main\n' },
    { path: '/etc/apt/sources.list.d/debian.sources', text: deb822 },
  ];
  const entry = findSourceEntry(files, 'bookworm');
  t.ok(entry);
  t.equal(
    stanzaFor(entry!, 'bookworm-backports'),
    `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: 
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
`,
  );
  t.equal(findSourceEntry(files, 'bookworm-backports'), undefined);

  const list = 'deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main contrib # why\n';
  const line = findSourceEntry([{ path: '/etc/apt/sources.list', text: list }], 'bookworm');
  t.equal(
    stanzaFor(line!, 'bookworm-backports'),
    `Types: deb
URIs: http://m.example/debian
Suites: bookworm-backports
Components: main contrib
Architectures: amd64
Signed-By: /k.gpg
`,
  );
  t.end();
});
