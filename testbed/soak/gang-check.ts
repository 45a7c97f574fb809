// SPDX-License-Identifier: Apache-2.0
// What has to hold of a gang whose controller is gone: every guest runs once and is whole, network and settings are as before.

import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { connectQmp } from '../../src/qmp/index.ts';
import type { Qemu } from '../index.ts';
import { slackwaterProgram } from '../stage/controller.ts';
import type { GangStage, StagedGuest } from '../stage/gang-stage.ts';

/** What a gang must not change for good. */
export interface GangSnapshot {
  readonly network: readonly [source: string, destination: string];
  /** Of each guest's source, as JSON. */
  readonly settings: readonly string[];
}

const MOVING = new Set(['setup', 'active', 'device', 'postcopy-active', 'cancelling']);
const SETTLED_WITHIN_MS = 60_000;
const CANCELLED_AFTER_MS = 20_000;
const POLL_MS = 100;

async function ask(qemu: Qemu): Promise<{ readonly run: string; readonly migration: string }> {
  await using client = await connectQmp(qemu.monitorPath);
  const run = (await client.execute('query-status')).status;
  return { run, migration: (await client.execute('query-migrate')).status ?? 'none' };
}

async function settingsOf(qemu: Qemu): Promise<string> {
  await using client = await connectQmp(qemu.monitorPath);
  const parameters = await client.execute('query-migrate-parameters');
  const capabilities = await client.execute('query-migrate-capabilities');
  return JSON.stringify([parameters, capabilities]);
}

export async function gangSnapshot(stage: GangStage): Promise<GangSnapshot> {
  return {
    network: [await stage.networkOf('src'), await stage.networkOf('dst')],
    settings: await Promise.all(stage.staged.map(({ source }) => settingsOf(source))),
  };
}

/** `slackwater restore`, as an operator runs it; what is still pending it says by its exit code, and is asked again later. */
export function restorer(env: Readonly<Record<string, string>>): () => void {
  return () => {
    spawnSync(process.execPath, [slackwaterProgram(), 'restore'], { env: { ...process.env, ...env } });
  };
}

/**
 * What was under way goes on to its end without a controller. A pre-copy that nobody steers may not come to one, and is cancelled, as
 * an operator would.
 */
async function settled({ source }: StagedGuest): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < SETTLED_WITHIN_MS; waitedMs += POLL_MS) {
    if (!MOVING.has((await ask(source)).migration)) return true;
    if (waitedMs === CANCELLED_AFTER_MS) {
      spawnSync(process.execPath, [slackwaterProgram(), 'cancel', '--qmp', source.qmpPath]);
    }
    await delay(POLL_MS);
  }
  return false;
}

/** In words; none: all of it holds. `restore` is called once the migrations are over: capabilities follow only then. */
export async function gangProblems(
  stage: GangStage,
  before: GangSnapshot,
  restore: () => void,
): Promise<string[]> {
  const problems: string[] = [];
  const network = [await stage.networkOf('src'), await stage.networkOf('dst')];
  if (network.some((text, i) => text !== before.network[i])) problems.push('the network is not as before');
  for (const each of stage.staged) {
    if (!(await settled(each))) problems.push(`${each.guest.name}'s migration does not end`);
  }
  restore();
  for (const [i, each] of stage.staged.entries()) {
    const { name } = each.guest;
    const [source, destination] = [await ask(each.source), await ask(each.destination)];
    const running = [source, destination].filter(({ run }) => run === 'running').length;
    if (running !== 1) {
      problems.push(`${name} runs ${running} times: ${source.run}, ${destination.run}`);
      continue;
    }
    if ((await settingsOf(each.source)) !== before.settings[i])
      problems.push(`${name}'s settings are not as before`);
    const report = await stage.verify(each, source.run === 'running' ? 'source' : 'destination');
    if (report.badPageCount > 0) problems.push(`${name}: ${report.badPageCount} pages lost or stale`);
  }
  return problems;
}
