// SPDX-License-Identifier: Apache-2.0
// The pure parts of experiments on real machines.

import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../../src/index.ts';
import { parseExperiment } from '../../../src/experiment/index.ts';
import { run } from '../../../testbed/index.ts';
import { offsetBetween, offsetOf } from '../../../testbed/remote/clock-offset.ts';
import { guestMac } from '../../../testbed/remote/guest-nic.ts';
import { type HostFacts, hostProblems, parseHostFacts } from '../../../testbed/remote/host-facts.ts';
import { rolesOf } from '../../../testbed/remote/hosts.ts';
import { shellQuote } from '../../../testbed/remote/shell-quote.ts';
import { changeArguments } from '../../../testbed/remote/undo-step.ts';
import { FULL } from '../support/experiments.ts';

/** What is said of FULL with one text in place of another. */
function problemsWith(from: string, to: string): string {
  try {
    parseExperiment(FULL.replace(from, to), 'x.yaml');
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('hosts that cannot work together are told from the file alone', (t) => {
  t.equal(problemsWith('', ''), '');
  t.match(
    problemsWith('10.0.0.10/24', '10.0.0.10'),
    /guest\.address: expected an IPv4 address with its prefix/,
  );
  t.match(problemsWith('10.0.0.10/24', '10.0.0.10/31'), /guest\.address: expected an IPv4 address with its/);
  t.match(
    problemsWith('10.0.0.10/24', '10.0.1.10/24'),
    /client\.address: .* network 10\.0\.1\.10\/24, got "10\.0\.0\.3"/,
  );
  t.match(
    problemsWith('10.0.0.10/24', '10.0.0.3/24'),
    /guest: expected another address than that of the client/,
  );
  t.match(
    problemsWith('address: 10.0.0.3', 'address: 10.0.0.1'),
    /client: .* than that of the source, got "10\.0\.0\.1"/,
  );
  t.match(
    problemsWith('address: 10.0.0.3', 'address: "fd00::3"'),
    /client\.address: expected an IPv4 address/,
  );
  t.match(problemsWith('ssh: host3', 'ssh: host1'), /client: expected another ssh than that of the source/);
  t.match(
    problemsWith('  guest: { address: 10.0.0.10/24 }\n', ''),
    /hosts\.guest: expected a mapping, got nothing/,
  );
  t.end();
});

const ROLES = rolesOf(parseExperiment(FULL, 'x.yaml').hosts!);

t.test('a shell takes a quoted line apart into the very arguments', async (t) => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
    fc.constantFrom(
      '',
      "'",
      "it's",
      '$(reboot)',
      '`id`',
      '*',
      '~',
      '#',
      '!',
      'if',
      'a=b',
      '-n',
      'a\nb',
      '\\',
      '"',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 30 }), async (words) => {
      const { stdout } = await run(['sh', '-c', shellQuote(['printf', '%s\\0', 'first', ...words])]);
      t.same(stdout.split('\0').slice(0, -1), ['first', ...words]);
    }),
    { numRuns: 30 },
  );
  t.throws(() => shellQuote(['a\0b']), UsageError);
});

t.test('what undoes a change goes before it, an argument a line', (t) => {
  t.same(changeArguments(['delete_qdisc', 'eth1', '5ac7:'], ['tc', 'qdisc', 'add']), [
    ...['3', 'delete_qdisc', 'eth1', '5ac7:', 'tc', 'qdisc', 'add'],
  ]);
  t.throws(() => changeArguments(['remove_file', 'a\nb'], ['touch', 'a\nb']), UsageError);
  t.throws(() => changeArguments(['delete_link', ''], ['true']), UsageError);
  t.end();
});

t.test('of several looks at another clock the quickest counts', (t) => {
  const quick = { askedMs: 100, answeredMs: 104, theirsMs: 5102 };
  const slow = { askedMs: 200, answeredMs: 280, theirsMs: 5270 };
  t.same(offsetOf([slow, quick]), { offsetMs: 5000, uncertaintyMs: 2 });
  t.throws(() => offsetOf([]), { code: 'ERR_TESTBED_MEASURE' });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1000), fc.nat(100), fc.double({ min: 0, max: 1, noNaN: true })), {
        minLength: 1,
      }),
      fc.integer(),
      (looks, offsetMs) => {
        const exchanges = looks.map(([askedMs, tookMs, at]) => ({
          askedMs,
          answeredMs: askedMs + tookMs,
          theirsMs: askedMs + tookMs * at + offsetMs,
        }));
        const found = offsetOf(exchanges);
        return Math.abs(found.offsetMs - offsetMs) <= found.uncertaintyMs + 1e-6;
      },
    ),
  );
  t.end();
});

t.test('what two clocks went apart during a run is uncertainty', (t) => {
  const between = offsetBetween({ offsetMs: 10, uncertaintyMs: 1 }, { offsetMs: 14, uncertaintyMs: 2 });
  t.same(between, { offsetMs: 12, uncertaintyMs: 4 });
  t.end();
});

t.test('a guest has the same NIC address on every host, and another one for another address', (t) => {
  t.equal(guestMac('192.0.2.10'), '52:54:00:00:02:0a');
  t.not(guestMac('192.0.2.10'), guestMac('192.0.2.11'));
  t.end();
});

const FACTS = `motd of a login shell
fact uid 0
fact architecture x86_64
fact kernel 6.12.1
fact cpu Some CPU: model 7
fact cores 16
fact memoryKib 65536
fact distribution Debian GNU/Linux 13 (trixie)
fact nanoseconds 1700000000123456789
fact address yes
fact qemu QEMU emulator version 10.0.2
fact kvm yes
fact nic up
fact qdisc qdisc mq 0: root
fact qdisc qdisc fq_codel 0: parent :1 limit 10240p
`;

function problems(changed: Partial<HostFacts>): string[] {
  return hostProblems(ROLES.source, { ...parseHostFacts(FACTS), ...changed });
}

t.test('what a host says of itself is read, and nothing keeps a good one from being used', (t) => {
  t.same(parseHostFacts(FACTS), {
    isRoot: true,
    architecture: 'x86_64',
    cpu: 'Some CPU: model 7',
    cores: 16,
    memoryBytes: 64 * 1024 * 1024,
    distribution: 'Debian GNU/Linux 13 (trixie)',
    kernel: '6.12.1',
    qemu: 'QEMU emulator version 10.0.2',
    hasKvmDevice: true,
    hasAddress: true,
    missingTools: [],
    hasNanoseconds: true,
    inUseBy: null,
    nic: {
      state: 'up',
      master: null,
      qdiscs: ['qdisc mq 0: root', 'qdisc fq_codel 0: parent :1 limit 10240p'],
    },
  });
  t.same(problems({}), []);
  t.same(hostProblems(ROLES.client, { ...parseHostFacts(FACTS), qemu: null, nic: null }), []);
  t.end();
});

t.test('what keeps a host from being used is said, all of it', (t) => {
  const nic = { state: 'up', master: null, qdiscs: [] };
  t.match(problems({ isRoot: false }), [/wanted root, got another user/]);
  t.match(problems({ architecture: 'aarch64' }), [/wanted x86_64, got aarch64/]);
  t.match(problems({ missingTools: ['tc', 'iperf3'] }), [/got no tc, iperf3/]);
  t.match(problems({ hasAddress: false }), [/wanted the address 10\.0\.0\.1/]);
  t.match(problems({ inUseBy: 'alice' }), [/in use by alice/]);
  t.match(problems({ qemu: null }), [/wanted a QEMU at \/usr\/bin\/qemu/]);
  t.match(problems({ nic: null }), [/wanted the NIC eth1, got none/]);
  t.match(problems({ nic: { ...nic, state: 'down' } }), [/eth1 up, got it down/]);
  t.match(problems({ nic: { ...nic, master: 'br0' } }), [/a part of br0/]);
  t.match(problems({ nic: { ...nic, qdiscs: ['qdisc tbf 8001: root refcnt 2'] } }), [
    /without traffic control/,
  ]);
  const ours = ['qdisc htb 5ac7: root refcnt 2', 'qdisc bfifo 10: parent 5ac7:1 limit 1b'];
  t.same(
    problems({ nic: { ...nic, qdiscs: ours } }),
    [],
    'what an earlier experiment left goes when it is claimed',
  );
  t.equal(problems({ isRoot: false, qemu: null, nic: null }).length, 3);
  t.end();
});
