// SPDX-License-Identifier: Apache-2.0
// Traffic control without a kernel: which frames belong to a class, what would be asked of tc, and what is refused.

import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../../src/common/index.ts';
import {
  buildLines,
  changeLine,
  checkPlan,
  findAnchor,
  matches,
  type NicPlan,
  OUR_ANCHOR,
  programsOf,
  readClasses,
  readQdiscs,
  removeLines,
  type ShapedClass,
  TcTakenError,
} from '../../../src/tc/index.ts';

const MIGRATION: ShapedClass = {
  name: 'migration',
  rateBytesPerSec: 100e6,
  ceilBytesPerSec: 125e6,
  priority: 2,
  queueBytes: 250_000,
  matches: [{ kind: 'port', side: 'destination', port: 4444 }],
};
const REST: ShapedClass = { ...MIGRATION, name: 'rest', rateBytesPerSec: 25e6, priority: 1, matches: [] };
const PLAN: NicPlan = { device: 'eth0', linkBytesPerSec: 125e6, classes: [MIGRATION, REST] };

/** A frame with just what classifiers look at. */
function frame(options: {
  ip: 4 | 6;
  protocol?: number;
  from?: number;
  to?: number;
  fragment?: number;
  options?: number;
  mac?: number[];
}): Uint8Array {
  const bytes = new Uint8Array(120);
  const view = new DataView(bytes.buffer);
  bytes.set(options.mac ?? [2, 0, 0, 0, 0, 1], 0);
  view.setUint16(12, options.ip === 4 ? 0x0800 : 0x86dd);
  const words = 5 + (options.options ?? 0);
  if (options.ip === 4) {
    view.setUint8(14, 0x40 | words);
    view.setUint16(20, options.fragment ?? 0);
    view.setUint8(23, options.protocol ?? 6);
  } else {
    view.setUint8(20, options.protocol ?? 6);
  }
  const transport = 14 + (options.ip === 4 ? 4 * words : 40);
  view.setUint16(transport, options.from ?? 50_000);
  view.setUint16(transport + 2, options.to ?? 80);
  return bytes;
}

function isMatched(match: Parameters<typeof programsOf>[0], bytes: Uint8Array): boolean {
  return programsOf(match).some((program) => matches(program, bytes));
}

t.test(
  'a port is found in TCP and UDP, over both versions of IP, with options, never in a later fragment',
  (t) => {
    const match = { kind: 'port', side: 'destination', port: 4444 } as const;
    for (const ip of [4, 6] as const) {
      for (const protocol of [6, 17]) {
        t.equal(isMatched(match, frame({ ip, protocol, to: 4444 })), true);
        t.equal(isMatched(match, frame({ ip, protocol, to: 4445 })), false);
        t.equal(isMatched(match, frame({ ip, protocol, from: 4444 })), false, 'the other side');
      }
      t.equal(isMatched(match, frame({ ip, protocol: 1, to: 4444 })), false, 'ICMP has no ports');
    }
    t.equal(isMatched(match, frame({ ip: 4, to: 4444, options: 3 })), true);
    t.equal(isMatched(match, frame({ ip: 4, to: 4444, fragment: 0x2000 })), true, 'a first fragment');
    t.equal(isMatched(match, frame({ ip: 4, to: 4444, fragment: 0x0010 })), false);
    t.equal(isMatched(match, new Uint8Array(10)), false, 'a frame that is too short');
    const both = { kind: 'ports', source: 50_001, destination: 4444 } as const;
    t.equal(isMatched(both, frame({ ip: 4, from: 50_001, to: 4444 })), true);
    t.equal(isMatched(both, frame({ ip: 4, from: 50_002, to: 4444 })), false);
    t.end();
  },
);

t.test('a VM is known by its MAC address', (t) => {
  const mac = '52:54:00:77:00:10';
  const octets = [0x52, 0x54, 0, 0x77, 0, 0x10];
  t.equal(isMatched({ kind: 'mac', side: 'destination', mac }, frame({ ip: 4, mac: octets })), true);
  t.equal(isMatched({ kind: 'mac', side: 'source', mac }, frame({ ip: 4, mac: octets })), false);
  t.equal(
    isMatched({ kind: 'mac', side: 'destination', mac: '52:54:00:77:00:11' }, frame({ ip: 4, mac: octets })),
    false,
  );
  t.end();
});

t.test('whatever the ports, a classifier matches them and no others', (t) => {
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(port, port, fc.constantFrom(4 as const, 6 as const), (wanted, seen, ip) => {
      const match = { kind: 'port', side: 'source', port: wanted } as const;
      return isMatched(match, frame({ ip, from: seen })) === (wanted === seen);
    }),
  );
  t.end();
});

t.test('a tree is one qdisc with a class for each, and gone with it', (t) => {
  const lines = buildLines(PLAN, OUR_ANCHOR);
  t.equal(lines[0], 'qdisc add dev eth0 root handle 5a1: htb default 3');
  t.match(lines[1], /^class add dev eth0 parent 5a1: classid 5a1:1 htb rate 123049415bps/);
  t.match(lines[2], /parent 5a1:1 classid 5a1:2 htb rate 98439532bps .* prio 2/);
  t.equal(lines.filter((line) => line.startsWith('filter')).length, 4, 'TCP and UDP, IPv4 and IPv6');
  t.same(removeLines(PLAN, OUR_ANCHOR), ['qdisc del dev eth0 root']);
  t.match(
    changeLine(PLAN, OUR_ANCHOR, 0, { ...MIGRATION, rateBytesPerSec: 1e6 }),
    /^class change dev eth0 .*5a1:2/,
  );
  t.end();
});

t.test("the kernel's default is nobody's, an HTB has room, anything else is refused", (t) => {
  const qdisc = (kind: string, handle: string) => readQdiscs([{ kind, handle, root: true }]);
  t.same(findAnchor('eth0', qdisc('noqueue', '0:'), []), OUR_ANCHOR);
  t.same(findAnchor('eth0', [], []), OUR_ANCHOR);
  const beside = findAnchor(
    'eth0',
    qdisc('htb', '1:'),
    readClasses('class htb 1:10 root rate 50Mbit ceil 50Mbit'),
  );
  t.match(beside, { major: 1, isOurs: false });
  const lines = buildLines(PLAN, beside);
  t.notOk(lines.some((line) => line.startsWith('qdisc add dev eth0 root')));
  t.notOk(
    removeLines(PLAN, beside).some((line) => line.includes('qdisc del')),
    'theirs is left alone',
  );
  t.throws(() => findAnchor('eth0', qdisc('fq_codel', '8001:'), []), TcTakenError);
  t.throws(() => findAnchor('eth0', qdisc('htb', '5a1:'), []), /another controller/);
  const full = readClasses('class htb 1:5a00 root rate 50Mbit ceil 50Mbit');
  t.throws(() => findAnchor('eth0', qdisc('htb', '1:'), full), TcTakenError);
  t.end();
});

t.test('classes are read as tc tells them', (t) => {
  const text = `class tbf 7:1 parent 7:
class htb 5a1:2 parent 5a1:1 leaf 5b10: prio 2 rate 787516Kbit ceil 1Gbit burst 24610b cburst 30Kb
 Sent 4096 bytes 12 pkt (dropped 3, overlimits 0 requeues 0)
 backlog 2Kb 2p requeues 0
`;
  t.same(readClasses(text), [
    {
      id: '5a1:2',
      rateBytesPerSec: 98_439_500,
      ceilBytesPerSec: 125e6,
      priority: 2,
      sentBytes: 4096,
      sentPackets: 12,
      drops: 3,
      backlogBytes: 2048,
    },
  ]);
  t.end();
});

t.test('what cannot be, or could be read as something else, is refused before anything is done', (t) => {
  const wrong: [string, Partial<NicPlan>][] = [
    ['a name that ends a word', { device: 'eth0 root' }],
    ['an option', { device: '-force' }],
    ['a path', { device: '../x' }],
    ['a name that is too long', { device: 'a'.repeat(16) }],
    ['no link', { linkBytesPerSec: 0 }],
    ['no number', { linkBytesPerSec: NaN }],
    ['no class', { classes: [] }],
    ['twice the same', { classes: [REST, REST] }],
    ['floors above the link', { classes: [{ ...MIGRATION, rateBytesPerSec: 110e6 }, REST] }],
    ['a ceiling above the link', { classes: [{ ...REST, ceilBytesPerSec: 126e6 }] }],
    ['a ceiling below the rate', { classes: [{ ...REST, ceilBytesPerSec: 1e6 }] }],
    ['a priority that there is not', { classes: [{ ...REST, priority: 8 }] }],
    ['no queue', { classes: [{ ...REST, queueBytes: 0 }] }],
    ['a name with a line in it', { classes: [{ ...REST, name: 'a\nqdisc del dev eth0 root' }] }],
    ['no port', { classes: [{ ...REST, matches: [{ kind: 'port', side: 'source', port: 0 }] }] }],
    ['no MAC address', { classes: [{ ...REST, matches: [{ kind: 'mac', side: 'source', mac: '1' }] }] }],
  ];
  for (const [what, change] of wrong) t.throws(() => checkPlan({ ...PLAN, ...change }), UsageError, what);
  checkPlan(PLAN);
  t.end();
});
