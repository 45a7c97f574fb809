// SPDX-License-Identifier: Apache-2.0
// Measures points of the dirtying curve directly, while the first round still runs: QEMU hashes a sample of the guest's
// pages, waits, and hashes them again. Without these points the first round says only how much is dirty after seconds,
// and it would take a second full round to learn whether shorter ones would leave less.
// Page sampling only: the other modes of calc-dirty-rate clear the dirty log under the migration, and kill a TCG guest
// on older versions.

import { type Clock, GIB, MIB } from '../common/index.ts';
import type { DirtySample } from '../model/index.ts';
import { type QmpClient, QmpCommandError, type QmpSchema, QmpTimeoutError } from '../qmp/index.ts';

/** Windows in turn; each is measured once, then the longest again, while the first round lasts. */
const WINDOWS_MS = [100, 300, 1000];

// QEMU's range is 128 to 16384 samples per GiB. 8192 give 4 % of error for an eighth of memory dirty in a 512 MiB guest;
// the cap keeps the hashing of a big guest below a few tenths of a second of one core.
const SAMPLES_PER_GIB = 8192;
const MAX_SAMPLES = 65_536;
const MIN_SAMPLES_PER_GIB = 512;

const POLL_MS = 20;

/** Whether this QEMU measures windows of milliseconds by page sampling (8.2 and newer). */
export function canSampleDirtyPages(schema: QmpSchema): boolean {
  return (
    schema.commandHasArgument('calc-dirty-rate', 'calc-time-unit') &&
    schema.commandHasArgument('calc-dirty-rate', 'mode') &&
    schema.commandHasArgument('calc-dirty-rate', 'sample-pages')
  );
}

/** Samples per GiB for a guest of that size. */
export function samplesPerGib(totalBytes: number): number {
  const gib = Math.max(totalBytes / GIB, 1 / 64);
  return Math.round(Math.max(MIN_SAMPLES_PER_GIB, Math.min(SAMPLES_PER_GIB, MAX_SAMPLES / gib)));
}

/**
 * Measures until `signal` is aborted, handing each point to `onSample`. Never rejects: a QEMU that refuses or is busy
 * with somebody else's measurement just gives no points.
 */
export async function sampleDirtyPages(
  client: QmpClient,
  clock: Clock,
  totalBytes: number,
  onSample: (sample: DirtySample) => void,
  signal: AbortSignal,
): Promise<void> {
  const samplePages = samplesPerGib(totalBytes);
  try {
    for (let i = 0; !signal.aborted; i++) {
      const windowMs = WINDOWS_MS[Math.min(i, WINDOWS_MS.length - 1)] ?? 1000;
      const sample = await measureDirtyPages(client, clock, windowMs, samplePages, signal);
      // A measurement that ran past the end of the round saw the switchover's stillness too.
      if (sample !== null && !isAborted(signal)) onSample(sample);
    }
  } catch (error) {
    if (isAborted(signal)) return;
    if (error instanceof QmpCommandError || error instanceof QmpTimeoutError) return;
    if (client.state !== 'running') return;
    throw error;
  }
}

// Read through a call, or the compiler takes the loop's condition for settled across an await.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** One window; null where QEMU gave no figure. @throws QmpError where it refuses, the signal's reason */
export async function measureDirtyPages(
  client: QmpClient,
  clock: Clock,
  windowMs: number,
  samplePages: number,
  signal: AbortSignal,
): Promise<DirtySample | null> {
  const options = { timeoutMs: 2000, signal };
  await client.execute(
    'calc-dirty-rate',
    {
      'calc-time': windowMs,
      'calc-time-unit': 'millisecond',
      'sample-pages': samplePages,
      mode: 'page-sampling',
    },
    options,
  );
  await clock.sleep(windowMs, signal);
  const deadlineMs = clock.nowMs() + windowMs + 2000;
  while (clock.nowMs() < deadlineMs) {
    const reply = await client.execute('query-dirty-rate', { 'calc-time-unit': 'millisecond' }, options);
    if (reply.status === 'measured') {
      const mibPerSec = reply['dirty-rate'];
      // calc-time is the time that really passed between the two hashes.
      const passedMs = reply['calc-time'];
      if (mibPerSec === undefined || passedMs <= 0) return null;
      return { windowMs: passedMs, dirtyBytes: (mibPerSec * MIB * passedMs) / 1000 };
    }
    await clock.sleep(POLL_MS, signal);
  }
  return null;
}
