// SPDX-License-Identifier: Apache-2.0
// Any guest on any link, with readings that need not make sense: what is missing is null, and the status may waver.

import fc from 'fast-check';
import { MIB } from './observation.ts';
import { GIB, peerContext, type Scenario } from './peer-drive.ts';

const anyBytes = (maxMib: number) => fc.option(fc.integer({ min: 0, max: maxMib }).map((mib) => mib * MIB));

const anyReading = fc.record({
  remainingBytes: anyBytes(2048),
  dirtyAtRoundStartBytes: anyBytes(2048),
  transferredBytes: anyBytes(100_000),
  totalBytes: fc.option(fc.constantFrom(0, GIB)),
  bandwidthBytesPerSec: fc.option(fc.integer({ min: 1, max: 1e9 })),
  lastWindowBytesPerSec: fc.option(fc.integer({ min: 0, max: 1e9 })),
  status: fc.constantFrom('active', 'active', 'active', 'setup', 'device'),
});

export const anyScenario: fc.Arbitrary<Scenario> = fc
  .record({
    memoryBytes: fc.integer({ min: 1, max: 64_000 }).map((mib) => mib * MIB),
    postcopyReady: fc.boolean(),
    maxDowntimeMs: fc.constantFrom(0, 0.2, 300, 5_000_000),
    deadlineMs: fc.option(fc.integer({ min: 1, max: 500_000 })),
    maxBandwidthBytesPerSec: fc.constantFrom(0, 134_217_728, null),
    roundMs: fc.integer({ min: 30, max: 20_000 }),
    readings: fc.array(anyReading, { minLength: 1, maxLength: 20 }),
  })
  .map(({ memoryBytes, postcopyReady, maxDowntimeMs, deadlineMs, readings, roundMs, ...drawn }) => {
    const { objective, parameters } = peerContext();
    return {
      context: {
        memoryBytes,
        postcopyReady,
        objective: { ...objective, maxDowntimeMs, deadlineMs },
        parameters: { ...parameters, maxBandwidthBytesPerSec: drawn.maxBandwidthBytesPerSec },
      },
      untilMs: 60 * roundMs,
      roundMs,
      sampleMs: Math.max(250, roundMs / 4),
      see: (atMs) => readings[Math.floor(atMs / roundMs) % readings.length]!,
    };
  });
