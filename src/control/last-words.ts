// SPDX-License-Identifier: Apache-2.0
// What is asked of both ends, and done to them, once the control loop is over: final figures, reasons, arming a paused
// destination for its recovery, quitting a source.

import { type Clock, messageOf } from '../common/index.ts';
import { isFinal, type MigrationInfo, readMigrationInfo } from '../observe/index.ts';
import type { QmpClient } from '../qmp/index.ts';
import { QUERY_TIMEOUT_MS } from './endpoint.ts';
import type { LoopResult } from './loop.ts';
import type { Reporter } from './types.ts';

/** The source's last word; QEMU 7.2 and 8.2 need to be asked again until the figures are in. */
export async function readFinal(source: QmpClient, clock: Clock): Promise<MigrationInfo | null> {
  for (let attempt = 0; attempt < 20 && source.state === 'running'; attempt++) {
    try {
      const info = readMigrationInfo(
        await source.execute('query-migrate', undefined, { timeoutMs: QUERY_TIMEOUT_MS }),
      );
      if (isFinal(info)) return info;
    } catch {
      return null;
    }
    await clock.sleep(10);
  }
  return null;
}

/** Ends the source's QEMU, whose guest runs elsewhere. */
export async function quit(source: QmpClient, reporter: Reporter): Promise<void> {
  try {
    await source.execute('quit', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
  } catch (error) {
    if (source.state === 'running') reporter.note(`the source did not quit: ${messageOf(error)}`);
  }
}

const ARM_TIMEOUT_MS = 3000;

/**
 * Has a paused destination listen for the recovery, while we still have a connection that takes commands out of band: its
 * main loop may itself wait for a page (it reads the guest's memory for its devices), and then no new connection gets past
 * the negotiation. With this done, recovering needs the source only.
 */
export async function armForRecovery(
  destination: QmpClient,
  uri: string,
  clock: Clock,
  reporter: Reporter,
): Promise<void> {
  const deadlineMs = clock.nowMs() + ARM_TIMEOUT_MS;
  for (;;) {
    try {
      await destination.executeOob('migrate-recover', { uri }, { timeoutMs: 1000 });
      return;
    } catch (error) {
      // Refused until the destination has noticed that it is paused.
      if (clock.nowMs() < deadlineMs && destination.state === 'running') {
        await clock.sleep(100);
        continue;
      }
      reporter.note(`the destination does not listen for the recovery yet: ${messageOf(error)}`);
      return;
    }
  }
}

/** Why it did not complete: our own decision, else what the destination says (it knows what it could not load). */
export async function reasonOfEnding(result: LoopResult, destination: QmpClient): Promise<string> {
  if (result.endedBecause !== null) return result.endedBecause;
  const here = result.last?.errorText ?? null;
  let there: string | null = null;
  try {
    const reply = await destination.execute('query-migrate', undefined, { timeoutMs: QUERY_TIMEOUT_MS });
    there = reply['error-desc'] ?? null;
  } catch {
    there = 'its QEMU has ended';
  }
  const parts = [
    ...(there === null ? [] : [`destination: ${there}`]),
    ...(here === null ? [] : [`source: ${here}`]),
  ];
  return parts.length > 0
    ? `the migration failed (${parts.join('; ')})`
    : 'the migration ended without a reason';
}
