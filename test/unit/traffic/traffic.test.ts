// SPDX-License-Identifier: Apache-2.0
// Counters as rates on the wire, and what is foretold of them.

import fc from 'fast-check';
import t from 'tap';
import { otherTrafficAhead } from '../../../src/forecast/index.ts';
import { foldTraffic, NO_TRAFFIC, type TrafficReading } from '../../../src/observe/index.ts';
import {
  counterRules,
  localPorts,
  parseNicCount,
  readCounters,
  wireBytesOfFrames,
  wireBytesOfPackets,
  wireBytesOfSegments,
} from '../../../src/tc/index.ts';

t.test('the same flow is the same on the wire, before segmentation and after', (t) => {
  // 45 segments of 1448 bytes in each of 100 packets: 4500 frames of 1538 bytes.
  const segments = 4500;
  const before = { bytes: 100 * (45 * 1448 + 66), packets: 100 };
  const after = { bytes: segments * (1448 + 66), packets: segments };
  const wire = segments * 1538;
  t.equal(Math.round(wireBytesOfFrames(before)), wire);
  t.equal(wireBytesOfSegments(after), wire);
  t.equal(wireBytesOfFrames(after), wire, 'a NIC without GSO counts frames');
  const packets = { bytes: 100 * (45 * 1448 + 52), packets: 100 };
  t.equal(Math.round(wireBytesOfPackets(packets)), wire, 'and IP packets');
  t.equal(wireBytesOfFrames({ bytes: 0, packets: 0 }), 0);
  t.end();
});

function reading(atMs: number, nic: number, migration: number, vm: number): TrafficReading {
  const count = (frames: number) => ({ bytes: frames * 1000, packets: frames });
  const both = (frames: number) => ({ sent: count(frames), received: count(0) });
  const packets = (n: number) => ({ bytes: n * 986, packets: n });
  return {
    atMs,
    nic: both(nic),
    // nftables counts without the Ethernet header.
    counts: {
      migration: { sent: packets(migration), received: packets(0) },
      vms: new Map([['a', { sent: packets(vm), received: packets(0) }]]),
    },
  };
}

t.test('workload is what is not migration; a step of the load is followed within a second', (t) => {
  let state = foldTraffic(NO_TRAFFIC, reading(0, 0, 0, 0));
  t.equal(state.smoothed, null, 'one reading is no rate');
  state = foldTraffic(state, reading(1000, 1000, 600, 300));
  const near = (a: number | undefined, b: number): boolean => Math.abs((a ?? 0) - b) < 0.05 * b;
  t.ok(near(state.smoothed?.nic.sentBytesPerSec, 1_024_000));
  t.ok(near(state.smoothed?.migration.sentBytesPerSec, 614_400));
  t.ok(near(state.smoothed?.workload.sentBytesPerSec, 409_600));
  t.ok(near(state.smoothed?.vms[0]?.sentBytesPerSec, 307_200));
  state = foldTraffic(state, reading(2000, 6000, 600, 5300));
  t.ok(near(state.smoothed?.workload.sentBytesPerSec, 5_120_000), 'a step');
  t.equal(state.smoothed?.workload.receivedBytesPerSec, 0);
  const reset = foldTraffic(state, reading(3000, 10, 0, 0));
  t.same(reset.smoothed, state.smoothed, 'counters that went back say nothing');
  t.ok(near(foldTraffic(reset, reading(4000, 6010, 0, 0)).history.at(-1)?.nic.sentBytesPerSec, 6_144_000));
  t.end();
});

t.test('the history is bounded', (t) => {
  let state = NO_TRAFFIC;
  for (let i = 0; i < 1000; i++) state = foldTraffic(state, reading(i * 1000, i, 0, 0));
  t.ok(state.history.length <= 120);
  t.end();
});

t.test("nft's and the kernel's answers are read", (t) => {
  const json = JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { counter: { family: 'bridge', table: 'slackwater_eth0', name: 'vm0_sent', packets: 3, bytes: 300 } },
      { counter: { family: 'bridge', table: 'theirs', name: 'vm0_sent', packets: 9, bytes: 900 } },
    ],
  });
  t.same([...readCounters(json, 'slackwater_eth0')], [['vm0_sent', { bytes: 300, packets: 3 }]]);
  const proc = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
  eth0: 100 2 0 0 0 0 0 0 300 4 0 0 0 0 0 0
`;
  t.same(parseNicCount(proc, 'eth0'), {
    received: { bytes: 100, packets: 2 },
    sent: { bytes: 300, packets: 4 },
  });
  t.equal(parseNicCount(proc, 'eth1'), null);
  t.same(
    localPorts('0 0 10.77.0.1:43210 10.77.0.2:4444\n0 0 [fd00::1]:50000 [fd00::2]:4444\n\n'),
    [43_210, 50_000],
  );
  const rules = counterRules({ device: 'eth0', vms: [{ name: 'a"; drop', tap: 'tap0' }], ports: [4444] });
  t.notMatch(rules, /drop/, "a VM's name is no word of a command");
  t.throws(() => counterRules({ device: 'eth0', vms: [{ name: 'a', tap: 'tap0" drop' }], ports: [] }));
  t.end();
});

t.test('other traffic is foretold, within what was seen', (t) => {
  t.equal(otherTrafficAhead([], 1000, 5000), null);
  t.equal(otherTrafficAhead([10, 20], 1000, 5000), 15);
  const square = Array.from({ length: 60 }, (_, i) => (i % 10 < 5 ? 0 : 100));
  t.ok((otherTrafficAhead(square, 1000, 5000) ?? 100) < 40, 'the quiet half of a turn comes next');
  fc.assert(
    fc.property(fc.array(fc.double(), { maxLength: 60 }), (values) => {
      const ahead = otherTrafficAhead(values, 1000, 5000);
      return ahead === null || (ahead >= 0 && (Number.isFinite(ahead) || values.length > 0));
    }),
    { numRuns: 50 },
  );
  t.end();
});
