// SPDX-License-Identifier: Apache-2.0
// `npm run bench:simulator [-- --seconds 3]`: migrations of a 512 MiB guest that the model carries out in a second of one core, by guest
// and policy.

import { parseArgs } from 'node:util';
import type { WritePattern } from '../src/experiment/index.ts';
import { policyByName } from '../src/decide/index.ts';
import {
  guestOfPattern,
  modelContext,
  simulateMigration,
  testGuestZeroBytes,
} from '../src/simulate/index.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' } } });

const MIB = 1024 * 1024;
const MEMORY_BYTES = 512 * MIB;
const LINK_BYTES_PER_SEC = 117e6;
const BATCH = 20;

const hot = { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB } as const;
const calm = { kind: 'steady', setBytes: 16 * MIB, rateBytesPerSec: 10 * MIB } as const;
const GUESTS: Readonly<Record<string, WritePattern>> = {
  calm,
  hot,
  phases: {
    kind: 'phases',
    phases: [
      { forMs: 3000, pattern: hot },
      { forMs: 3000, pattern: calm },
    ],
  },
};
const POLICIES = ['qemu-default', 'postcopy-immediate', 'hybrid-1', 'adaptive'];

function perSec(guestName: string, pattern: WritePattern, policyName: string): void {
  const policy = policyByName(policyName);
  if (policy === undefined) throw new Error(`there is no policy ${policyName}`);
  const guest = guestOfPattern(MEMORY_BYTES, testGuestZeroBytes(MEMORY_BYTES), pattern);
  const context = modelContext({
    objective: { maxDowntimeMs: 300, allowDowntimeMs: null, deadlineMs: null, postcopy: 'allowed' },
    memoryBytes: MEMORY_BYTES,
    linkBytesPerSec: LINK_BYTES_PER_SEC,
    maxBandwidthBytesPerSec: 0,
  });
  const once = () =>
    simulateMigration({ policy, context, guest, linkBytesPerSec: LINK_BYTES_PER_SEC, capMs: 60_000 });
  // Until the code is compiled.
  for (let i = 0; i < 200; i++) once();
  const forMs = 1000 * Number(values.seconds);
  const fromMs = performance.now();
  let migrations = 0;
  while (performance.now() - fromMs < forMs) {
    for (let i = 0; i < BATCH; i++) once();
    migrations += BATCH;
  }
  const seconds = (performance.now() - fromMs) / 1000;
  const { outcome, tmtMs } = once();
  process.stdout.write(
    `${JSON.stringify({ guest: guestName, policy: policyName, outcome, tmtMs, perSec: Math.round(migrations / seconds) })}\n`,
  );
}

for (const [name, pattern] of Object.entries(GUESTS)) {
  for (const policy of POLICIES) perSec(name, pattern, policy);
}
