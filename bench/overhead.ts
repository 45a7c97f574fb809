// SPDX-License-Identifier: Apache-2.0
// npm run bench:overhead: what the controller costs beside a VM. At rest: memory and CPU of `slackwater attach` and its
// guardian. At work: from the arrival of MIGRATION_PASS to the decision, over the rounds of a migration that does not
// converge. Prints one JSON line; asserts nothing.

import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { max, median, quantile } from 'simple-statistics';
import { readTrace } from '../src/index.ts';
import { startController, runController } from '../testbed/stage/controller.ts';
import { openLaboratory } from '../testbed/stage/laboratory.ts';
import { Stage } from '../testbed/stage/stage.ts';

const MIB = 1024 * 1024;
const AT_REST_MS = Number(process.env['SLACKWATER_AT_REST_MS'] ?? 60_000);
const TICKS_PER_S = 100;

interface Usage {
  readonly rssMib: number;
  readonly cpuMs: number;
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });
}

function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    rssMib: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024,
    cpuMs: ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_S) * 1000,
  };
}

function sum(usages: readonly Usage[]): Usage {
  return {
    rssMib: usages.reduce((total, { rssMib }) => total + rssMib, 0),
    cpuMs: usages.reduce((total, { cpuMs }) => total + cpuMs, 0),
  };
}

async function measureAtRest(stage: Stage) {
  const attached = startController(['attach', '--qmp', stage.source.qmpPath]);
  await delay(5000);
  const pid = attached.child.pid ?? 0;
  const pids = [pid, ...childrenOf(pid)];
  const before = sum(pids.map(usageOf));
  await delay(AT_REST_MS);
  const after = sum(pids.map(usageOf));
  attached.child.kill('SIGTERM');
  await attached.ended;
  return {
    processes: pids.length,
    rss_mib: after.rssMib,
    core_percent: ((after.cpuMs - before.cpuMs) / AT_REST_MS) * 100,
    observed_ms: AT_REST_MS,
  };
}

async function measureDecisions(stage: Stage) {
  const directory = await mkdtemp(join(tmpdir(), 'slackwater-bench-'));
  try {
    const trace = join(directory, 'overhead.trace');
    await stage.addDestination();
    await runController([
      ...['migrate', '--qmp', stage.source.qmpPath, '--dest-qmp', stage.destination.qmpPath],
      ...['--to', stage.uri, '--json', '--no-postcopy', '--deadline', '20s', '--trace', trace],
    ]);
    const { rows } = readTrace(trace);
    const latenciesMs: number[] = [];
    rows.forEach((row, index) => {
      if (row.type !== 'event' || row.fields['name'] !== 'MIGRATION_PASS' || Number(row.fields['data']) < 2)
        return;
      const decision = rows.slice(index + 1).find(({ type }) => type === 'action' || type === 'event');
      if (decision?.type === 'action') latenciesMs.push(decision.atMs - row.atMs);
    });
    return {
      rounds: latenciesMs.length,
      pass_to_decision_median_ms: median(latenciesMs),
      pass_to_decision_p90_ms: quantile(latenciesMs, 0.9),
      pass_to_decision_max_ms: max(latenciesMs),
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}

const laboratory = await openLaboratory((line) => process.stderr.write(`${line}\n`));
const stage = await Stage.create({
  laboratory,
  guest: {
    memoryMib: 256,
    vcpus: 1,
    pattern: { kind: 'steady', setBytes: 64 * MIB, rateBytesPerSec: 200 * MIB },
    seed: 3,
    work: false,
    diskBlocksPerSec: 20,
  },
});
try {
  await stage.boot();
  const atRest = await measureAtRest(stage);
  const atWork = await measureDecisions(stage);
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    accelerator: laboratory.accelerator.accelerator,
  };
  process.stdout.write(
    `${JSON.stringify({ schema: 'slackwater/bench-overhead@1', at_rest: atRest, at_work: atWork, machine })}\n`,
  );
} finally {
  await stage.testbed.down();
}
