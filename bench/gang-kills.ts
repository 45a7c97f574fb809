// SPDX-License-Identifier: Apache-2.0
// `npm run soak:gang -- [--count 50] [--results DIR] [--seed N]`: gangs whose controller is killed with SIGKILL at random moments. Each
// time: every guest runs once and is whole, and network and QEMU settings are exactly as before. A line of JSON each in
// DIR/gang-kills.jsonl; called again, it goes on after the last.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seededRandom } from '../src/report/index.ts';
import { startController } from '../testbed/stage/controller.ts';
import { GangStage } from '../testbed/stage/gang-stage.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { gangProblems, gangSnapshot, restorer } from '../testbed/soak/gang-check.ts';
import { openLines } from './resumable-lines.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '50' },
    results: { type: 'string', default: 'soak-results' },
    seed: { type: 'string', default: '1' },
  },
});

/** From before the first change to after the last migration's end, on the reference machine. */
const EARLIEST_MS = 300;
const LATEST_MS = 16_000;
/** Guardians need their second. */
const GUARDIANS_MS = 2000;
const MIB = 1024 * 1024;

interface Result {
  readonly index: number;
  readonly killedAfterMs: number;
  /** Null: it was killed; else it had ended before. */
  readonly exitCode: number | null;
  readonly problems: readonly string[];
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function killedGang(index: number): Promise<Result> {
  const random = seededRandom(Number(values.seed) * 1000 + index);
  const killedAfterMs = EARLIEST_MS + random() * (LATEST_MS - EARLIEST_MS);
  const folder = mkdtempSync(join(tmpdir(), 'slackwater-gang-'));
  const env = { SLACKWATER_RUNTIME_DIR: join(folder, 'run') };
  await using stage = await GangStage.create({
    laboratory: await openLaboratory(say),
    link: '400mbit',
    guests: (['calm', 'hot'] as const).map((name, i) => ({
      name,
      spec: {
        memoryMib: name === 'hot' ? 208 : 128,
        vcpus: 1,
        seed: index * 2 + i,
        work: false,
        diskBlocksPerSec: 0,
        pattern:
          name === 'hot'
            ? { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB }
            : { kind: 'steady', setBytes: MIB, rateBytesPerSec: 4 * MIB },
      },
      plan: {},
    })),
  });
  try {
    await stage.boot();
    const plan = join(folder, 'plan.yaml');
    const policy = index % 2 === 0 ? 'slackwater-gang' : 'all-parallel';
    writeFileSync(plan, stage.planText({ policy, sample: '1s', workloads: { lower: '50mbit' } }));
    const before = await gangSnapshot(stage);
    const { child, ended } = startController(['gang', plan, '--json'], undefined, env);
    await Promise.race([delay(killedAfterMs), ended]);
    child.kill('SIGKILL');
    const { exitCode } = await ended;
    await delay(GUARDIANS_MS);
    const restore = restorer(env);
    restore();
    const problems = await gangProblems(stage, before, restore);
    if (existsSync(env.SLACKWATER_RUNTIME_DIR)) problems.push('journals stay behind');
    // One that was refused, or failed by itself, has shown nothing of being killed.
    if (exitCode !== null && exitCode !== 0) problems.push(`the gang ended by itself with ${exitCode}`);
    return { index, killedAfterMs: Math.round(killedAfterMs), exitCode, problems };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const lines = openLines<Result>(values.results, 'gang-kills.jsonl');
for (let index = lines.results.length; index < Number(values.count); index++) {
  const result = await killedGang(index);
  lines.append(result);
  const how = result.exitCode === null ? `killed after ${result.killedAfterMs} ms` : 'ended before';
  say(`${index + 1}: ${how}: ${result.problems.length === 0 ? 'held' : result.problems.join('; ')}`);
}
const failed = lines.results.filter(({ problems }) => problems.length > 0).length;
say(`${lines.results.length} gangs, ${failed} with problems`);
process.exitCode = failed > 0 ? 1 : 0;
