// SPDX-License-Identifier: Apache-2.0
// `npm run bench:tracker -- [--vms 50] [--samples 60]`: what the resource tracker costs, as a share of one core: CPU time of this
// process and of what it starts, at a sample a second.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/common/index.ts';
import { TrafficTracker } from '../src/observe/index.ts';
import { createTestbed, namespaceOf } from '../testbed/index.ts';

const { values } = parseArgs({
  options: { vms: { type: 'string', default: '50' }, samples: { type: 'string', default: '60' } },
});

const TICKS_PER_SEC = 100;
const WARM_UP = 100;

/** Of one process, user and system, with the children that it has waited for. */
function ticksOf(pid: number | 'self'): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
  return fields.reduce((sum, each) => sum + each, 0);
}

/** Of this process and of those that it has started, which stay. */
function cpuSec(): number {
  const children = readdirSync('/proc/self/task').flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean),
  );
  const ticks = children.reduce((sum, pid) => sum + ticksOf(Number(pid)), ticksOf('self'));
  return ticks / TICKS_PER_SEC;
}

await using testbed = await createTestbed();
const place = { kind: 'namespace', name: namespaceOf(testbed.name, 'src') } as const;
const vms = Array.from({ length: Number(values.vms) }, (_, i) => ({ name: `vm${i}`, tap: `tap${i}` }));
await using tracker = await TrafficTracker.open(
  systemClock,
  place,
  { device: 'eth0', vms, ports: [4444] },
  () => undefined,
);
// Until the code that reads is compiled.
for (let i = 0; i < WARM_UP; i++) await tracker.sample();
const idleFrom = cpuSec();
await delay(5000);
const idlePerSec = (cpuSec() - idleFrom) / 5;
const from = cpuSec();
for (let i = 0; i < Number(values.samples); i++) {
  await tracker.sample();
  await delay(1000);
}
const perSec = (cpuSec() - from) / Number(values.samples) - idlePerSec;
process.stdout.write(
  `${JSON.stringify({ vms: vms.length, samples: Number(values.samples), cpuRatio: Number(perSec.toFixed(4)) })}\n`,
);
