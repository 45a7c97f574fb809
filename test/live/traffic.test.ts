// SPDX-License-Identifier: Apache-2.0
// Who uses a NIC: what the VMs' counters say adds up to what the NIC's say, and both to what the link carries.

import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { systemClock } from '../../src/common/index.ts';
import { TrafficTracker } from '../../src/observe/index.ts';
import {
  readClasses,
  readNicCount,
  TrafficCounters,
  wireBytesOfFrames,
  wireBytesOfPackets,
  wireBytesOfSegments,
} from '../../src/tc/index.ts';
import { createTestbed, ENDPOINTS, namespaceOf, switchInlet } from '../../testbed/index.ts';

const FLOW_BYTES = 40_000_000;

/** Relative difference. */
function apart(a: number, b: number): number {
  return Math.abs(a - b) / Math.max(a, b);
}

t.test(
  "the VMs' counters add up to the NIC's and to the link's, with segmentation offload and without",
  async (t) => {
    await using testbed = await createTestbed({ link: '400mbit', neighbours: true });
    const place = { kind: 'namespace', name: namespaceOf(testbed.name, 'src') } as const;
    const server = await testbed.startOn('client', ['iperf3', '-s']);
    t.teardown(() => server.kill());
    await delay(500);
    for (const segments of ['65535', '1']) {
      await testbed.runOn('near-src', ['ip', 'link', 'set', 'dev', 'eth0', 'gso_max_segs', segments]);
      // The neighbour's port stands for a VM's TAP device.
      const vms = [{ name: 'near', tap: 'near0' }];
      await using counters = await TrafficCounters.open(
        place,
        { device: 'eth0', vms, ports: [] },
        () => undefined,
      );
      const link = async () => {
        const { stdout } = await testbed.runOn('sw', [
          'tc',
          '-s',
          'class',
          'show',
          'dev',
          switchInlet('src'),
        ]);
        const [only] = readClasses(stdout);
        return { bytes: only?.sentBytes ?? 0, packets: only?.sentPackets ?? 0 };
      };
      const before = { nic: await readNicCount(place, 'eth0'), link: await link() };
      // Slow enough that no queue is full: what is dropped behind the NIC is sent again, and counted by the NIC alone.
      const flow = ['-n', `${FLOW_BYTES}`, '-b', '150M'];
      await testbed.runOn('near-src', ['iperf3', '-c', ENDPOINTS.client.ip, ...flow], {
        timeoutMs: 30_000,
      });
      const after = { nic: await readNicCount(place, 'eth0'), link: await link() };
      const vm = (await counters.read()).vms.get('near');
      const wire = {
        vm: wireBytesOfPackets(vm?.sent ?? { bytes: 0, packets: 0 }),
        nic: wireBytesOfFrames({
          bytes: after.nic.sent.bytes - before.nic.sent.bytes,
          packets: after.nic.sent.packets - before.nic.sent.packets,
        }),
        link: wireBytesOfSegments({
          bytes: after.link.bytes - before.link.bytes,
          packets: after.link.packets - before.link.packets,
        }),
      };
      t.comment(`at most ${segments} segments: ${JSON.stringify(wire)}`);
      t.ok(wire.vm > FLOW_BYTES, 'headers are in it');
      t.ok(apart(wire.vm, wire.nic) < 0.01, 'VM and NIC');
      t.ok(apart(wire.nic, wire.link) < 0.01, 'NIC and link');
    }
  },
);

t.test('the tracker tells workload from migration', async (t) => {
  await using testbed = await createTestbed({ link: '400mbit', neighbours: true });
  const place = { kind: 'namespace', name: namespaceOf(testbed.name, 'src') } as const;
  await using tracker = await TrafficTracker.open(
    systemClock,
    place,
    { device: 'eth0', vms: [{ name: 'near', tap: 'near0' }], ports: [5201] },
    () => undefined,
  );
  const server = await testbed.startOn('client', ['iperf3', '-s']);
  t.teardown(() => server.kill());
  await delay(500);
  // From the host itself to a port that is named as a migration's; and from a VM.
  const rate = (mbit: number): string[] => ['-b', `${mbit}M`, '-t', '4'];
  const migrating = testbed.runOn('src', ['iperf3', '-c', ENDPOINTS.client.ip, ...rate(80)], {
    timeoutMs: 30_000,
  });
  await tracker.sample();
  for (let i = 0; i < 5; i++) {
    await delay(500);
    await tracker.sample();
  }
  const traffic = await tracker.sample();
  await migrating;
  const mbit = (bytesPerSec = 0): number => (bytesPerSec * 8) / 1e6;
  t.ok(
    mbit(traffic?.migration.sentBytesPerSec) > 60,
    `${mbit(traffic?.migration.sentBytesPerSec).toFixed(1)} Mbit/s`,
  );
  t.ok(mbit(traffic?.workload.sentBytesPerSec) < 5, 'and nothing else');
  t.ok(tracker.history.length >= 5);
});
