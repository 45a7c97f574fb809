// SPDX-License-Identifier: Apache-2.0
// How a guest is watched before its migration: which windows, and what the host tells of it.

import t from 'tap';
import { parseWeights, parseWorkingSet } from '../../src/cli/number-lists.ts';
import { UsageError } from '../../src/common/index.ts';
import {
  findMemory,
  parseCpuSec,
  parseDeviceBytes,
  parsePressure,
  processOfThread,
} from '../../src/observe/guest-activity.ts';
import { profileWindows } from '../../src/observe/index.ts';

t.test('some windows for the curve, then even steps, within the time there is', (t) => {
  t.same(profileWindows(10_000), { curveMs: [100, 300, 1000, 2500], stepMs: 250 });
  t.same(profileWindows(60_000), { curveMs: [100, 300, 1000, 15_000], stepMs: 1000 });
  const short = profileWindows(2000);
  t.ok(short.curveMs.reduce((sum, each) => sum + each, 0) <= 1000, 'half of it is left for steps');
  t.end();
});

t.test('the figures of the host are read as the kernel writes them', (t) => {
  const stat = '42 (qemu (x) y) S 1 42 42 0 -1 0 0 0 0 0 250 150 0 0 20 0 4 0 100 0 0';
  t.equal(parseCpuSec(stat), 4);
  t.equal(parseCpuSec('nonsense'), null);
  const net = `Inter-|   Receive    |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes packets
  tap0: 1000 1 0 0 0 0 0 0 500 2 0 0 0 0 0 0
    lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
  tap1: 10 1 0 0 0 0 0 0 5 2 0 0 0 0 0 0`;
  t.match(parseDeviceBytes(net, new Set(['tap0', 'tap1'])), { receivedBytes: 1010, sentBytes: 505 });
  t.equal(parseDeviceBytes(net, new Set(['eth9'])), null);
  t.equal(parsePressure('some avg10=1.25 avg60=0 avg300=0 total=1\nfull avg10=0'), 1.25);
  t.equal(parsePressure(null), null);
  const maps = `7f0000000000-7f0000400000 rw-p 00000000 00:00 0
7f1000000000-7f1000001000 rw-p 00000000 00:00 0 [heap]
7f2000000000-7f2000400000 r--p 00000000 00:00 0`;
  t.equal(findMemory(maps, 4 * 1024 * 1024), 0x7f0000000000n);
  t.equal(findMemory(maps, 5 * 1024 * 1024), null, 'no mapping of that size');
  t.equal(findMemory(`${maps}\n7f3000000000-7f3000400000 rw-p 0`, 4 * 1024 * 1024), null, 'two of them');
  const files = {
    readText: (path: string) => (path === '/proc/7/status' ? 'Name:\tx\nTgid:\t5\n' : null),
    list: () => [],
    countZeroPages: () => null,
  };
  t.equal(processOfThread(files, 7), 5);
  t.equal(processOfThread(files, 8), null);
  t.end();
});

t.test('weights: what is not named keeps its default, nonsense is refused', (t) => {
  t.same(parseWeights('downtime=10, bytes=0.5'), { tmt: 1, downtime: 10, slowdown: 1, bytes: 0.5 });
  for (const wrong of [
    '',
    'tmt',
    'tmt=-1',
    'speed=1',
    'constructor=1',
    'tmt=1;bytes=1',
    'tmt=0,downtime=0,slowdown=0,bytes=0',
  ]) {
    t.throws(() => parseWeights(wrong), UsageError, wrong);
  }
  t.end();
});

t.test('when a working set has converged is told as numbers, each with a default', (t) => {
  t.same(parseWorkingSet('similarity=0.8,rounds=3'), {
    minSimilarity: 0.8,
    maxSizeChangeRatio: 0.04,
    rounds: 3,
  });
  for (const wrong of ['', 'alike=1', 'similarity=2', 'rounds=0', 'rounds=1.5', 'size=-1']) {
    t.throws(() => parseWorkingSet(wrong), UsageError, wrong);
  }
  t.end();
});
