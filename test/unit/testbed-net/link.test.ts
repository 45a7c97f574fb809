// SPDX-License-Identifier: Apache-2.0
import t from 'tap';
import { tcpGoodputBytesPerSec } from '../../../src/experiment/index.ts';
import { UsageError } from '../../../src/index.ts';
import {
  LINK_PROFILES,
  linkOfRate,
  parseLink,
  shaperRateBytesPerSec,
} from '../../../testbed/net/link-profiles.ts';
import { shaperLines } from '../../../testbed/net/shaper.ts';
import { parseGoodput } from '../../../testbed/net/goodput.ts';

t.test('a link is a named profile or a rate', (t) => {
  t.equal(parseLink('lan-1g').rateBytesPerSec, 125_000_000);
  t.equal(parseLink('300mbit').rateBytesPerSec, 37_500_000);
  t.equal(parseLink('300mbit').name, '300mbit');
  for (const wrong of ['', 'lan-2g', '300', '1kbit', '200gbit']) {
    t.throws(() => parseLink(wrong), UsageError, `"${wrong}" is refused`);
  }
  t.end();
});

t.test('a queue holds 4 ms of the rate and at least four GSO packets', (t) => {
  t.equal(parseLink('lan-1g').queueBytes, 500_000);
  t.equal(parseLink('lan-100m').queueBytes, 262_144);
  for (const link of LINK_PROFILES) t.ok(link.queueBytes >= 4 * 65_536, link.name);
  t.end();
});

t.test('the shaper counts 1514 of the 1538 bytes that a full frame takes on the wire', (t) => {
  t.equal(shaperRateBytesPerSec(125_000_000), Math.round((125_000_000 * 1514) / 1538));
  t.ok(
    Math.abs((tcpGoodputBytesPerSec(125_000_000) * 8) / 1e6 - 941.5) < 0.1,
    '1 Gbit/s carries 941.5 Mbit/s of TCP',
  );
  t.end();
});

t.test('all six directions are shaped alike, and changed without taking queues down', (t) => {
  const link = linkOfRate('x', 12_500_000);
  const added = shaperLines('add', link);
  t.equal(added.length, 18);
  t.same(
    [...new Set(added.map((line) => /dev (\S+)/.exec(line)?.[1]))],
    ['p-src', 'i-src', 'p-dst', 'i-dst', 'p-client', 'i-client'],
  );
  const changed = shaperLines('change', link);
  t.equal(changed.length, 12);
  t.ok(changed.every((line) => / change /.test(line)));
  t.end();
});

t.test('goodput is what iperf3 says was received', (t) => {
  t.equal(parseGoodput('{"end":{"sum_received":{"bits_per_second":8000}}}'), 1000);
  for (const wrong of [
    '',
    '{}',
    '{"error":"unable to connect"}',
    '{"end":{"sum_received":{"bits_per_second":0}}}',
  ]) {
    t.throws(() => parseGoodput(wrong), { code: 'ERR_TESTBED_GOODPUT' });
  }
  t.end();
});
