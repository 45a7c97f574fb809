// SPDX-License-Identifier: Apache-2.0
// Carries one case of the soak out and looks where the guest is, whether it is whole, and what stays behind.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectQmp } from '../../src/qmp/index.ts';
import { guestUuid, type Qemu } from '../index.ts';
import { type ControllerResult, type RunningController, startController } from '../stage/controller.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import { Stage } from '../stage/stage.ts';
import type { SoakCase } from './soak-case.ts';

export interface SoakResult {
  readonly case: SoakCase;
  /** Where the guest was found, running; `both` is the worst that can happen. */
  readonly guestOn: 'source' | 'destination' | 'both' | 'nowhere';
  readonly exitCode: number | null;
  /** In words; none: it held. */
  readonly problems: readonly string[];
}

export interface SoakOptions {
  readonly laboratory: Laboratory;
  readonly patchedPath: string;
  readonly stockPath: string;
  /** In [0, 1): when something happens. */
  readonly random: () => number;
}

const MEMORY_MIB = 256;
const PASS_MS = 2000;

async function ask(qemu: Qemu): Promise<{ readonly run: string; readonly migration: string }> {
  await using client = await connectQmp(qemu.monitorPath);
  const run = (await client.execute('query-status')).status;
  return { run, migration: (await client.execute('query-migrate')).status ?? 'none' };
}

async function until(qemu: Qemu, status: string, ended: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  void ended.then(() => {
    over.abort();
  });
  while (!over.signal.aborted && (await ask(qemu)).migration !== status) await delay(10);
}

/** What stays of this case's controllers on this machine; empty once guardians have done their work. */
async function leftovers(stage: Stage, journals: string): Promise<string[]> {
  const shared = `slackwater-${guestUuid(stage.testbed.name)}`;
  let found: string[] = [];
  for (let attempt = 0; attempt < 50; attempt++) {
    found = readdirSync('/dev/shm').filter((name) => name.startsWith(shared));
    if (existsSync(journals)) found.push(journals);
    if (found.length === 0) break;
    await delay(100);
  }
  return found;
}

type StartController = (...args: readonly string[]) => RunningController;

async function migrateAs(
  stage: Stage,
  { scenario }: SoakCase,
  random: () => number,
  start: StartController,
): Promise<ControllerResult> {
  const monitors = ['--qmp', stage.source.qmpPath, '--dest-qmp', stage.destination.qmpPath];
  const more = scenario === 'no-postcopy' ? ['--no-postcopy', '--allow-downtime', '1s'] : [];
  const controller = start('migrate', ...monitors, '--to', stage.uri, '--json', ...more);
  if (scenario === 'cancel' || scenario === 'kill') {
    await until(stage.source, 'active', controller.ended);
    await delay(random() * PASS_MS);
    controller.child.kill(scenario === 'cancel' ? 'SIGINT' : 'SIGKILL');
  } else if (scenario === 'recover') {
    await until(stage.source, 'postcopy-active', controller.ended);
    await delay(300 + random() * 300);
    await stage.testbed.cutLink('dst');
  }
  const result = await controller.ended;
  if (scenario === 'kill') {
    // QEMU goes on by itself once the lease is over; a guest that does not converge is taken back.
    await delay(2500);
    await start('cancel', '--qmp', stage.source.qmpPath).ended;
  }
  if (scenario !== 'recover') return result;
  await stage.testbed.restoreLink('dst');
  const command = result.document?.command?.split(' ').slice(1);
  return command === undefined ? result : await start(...command).ended;
}

async function whereIs(stage: Stage): Promise<SoakResult['guestOn']> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [source, destination] = await Promise.all([ask(stage.source), ask(stage.destination)]);
    if (source.run === 'running' && destination.run === 'running') return 'both';
    if (destination.run === 'running') return 'destination';
    if (source.run === 'running') return 'source';
    await delay(100);
  }
  return 'nowhere';
}

function endsAsItShould(scenario: SoakCase['scenario'], exitCode: number | null, guestOn: string): boolean {
  switch (scenario) {
    case 'release':
    case 'postcopy':
    case 'revised':
    case 'recover':
      return exitCode === 0 && guestOn === 'destination';
    case 'no-postcopy':
      return exitCode === 0 ? guestOn === 'destination' : exitCode === 4 && guestOn === 'source';
    case 'cancel':
      // Too late, it has completed.
      return exitCode === 130 ? guestOn === 'source' : exitCode === 0 && guestOn === 'destination';
    case 'kill':
      return guestOn === 'source' || guestOn === 'destination';
  }
}

/** Throws only where the testbed fails; what is wrong with the migration is in the result. */
export async function carryOutCase(soakCase: SoakCase, options: SoakOptions): Promise<SoakResult> {
  const { direction, vcpus, hugePages, pattern, link } = soakCase;
  const [from, to] = direction
    .split(' to ')
    .map((build) => (build === 'patched' ? options.patchedPath : options.stockPath));
  await using stage = await Stage.create({
    laboratory: options.laboratory,
    guest: {
      memoryMib: MEMORY_MIB,
      vcpus,
      pattern,
      seed: 1 + soakCase.index,
      work: false,
      diskBlocksPerSec: 20,
    },
    link,
    hugePages,
    ...(from === undefined ? {} : { qemuPath: from }),
  });
  await stage.boot();
  await stage.addDestination(to === undefined ? {} : { qemuPath: to });
  // Its own, as other cases' controllers have theirs; where no testbed's end takes it away from a guardian.
  const journals = join('/run', `slackwater-${stage.testbed.name}`);
  const { exitCode, stderr } = await migrateAs(stage, soakCase, options.random, (...args) =>
    startController(args, undefined, { SLACKWATER_RUNTIME_DIR: journals }),
  );
  const guestOn = await whereIs(stage);
  const problems: string[] = [];
  if (!endsAsItShould(soakCase.scenario, exitCode, guestOn)) {
    problems.push(`exit ${String(exitCode)}, the guest is on ${guestOn}: ${stderr.trim().slice(-300)}`);
  }
  if (guestOn === 'source' || guestOn === 'destination') {
    const report = await stage.verifyGuest(guestOn);
    if (!report.coherent) {
      problems.push(`${report.badPageCount} pages and ${report.badBlockCount} blocks are lost or stale`);
    }
  }
  const stays = await leftovers(stage, journals);
  if (stays.length > 0) problems.push(`left behind: ${stays.join(', ')}`);
  return { case: soakCase, guestOn, exitCode, problems };
}
