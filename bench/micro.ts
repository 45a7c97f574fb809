// SPDX-License-Identifier: Apache-2.0
// npm run bench: the controller's small steps, each by itself: QMP round trip and event latency against a real QEMU, a trace
// row appended and read, one whole observe-forecast-decide step, page sets of a large guest. One JSON line per
// measurement, with the environment.
// Asserts nothing.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from 'simple-statistics';
import { Bench } from 'tinybench';
import { createAdaptivePolicy } from '../src/decide/index.ts';
import { initForecast, stepForecast } from '../src/forecast/index.ts';
import type { Observation } from '../src/model/index.ts';
import { foldPass, foldReading, initObserve, readMigrationInfo } from '../src/observe/index.ts';
import { connectQmp, type QmpClient, QmpConnectError } from '../src/qmp/index.ts';
import { createTrace, readTrace } from '../src/record/index.ts';
import { policyContext } from '../test/unit/support/policy-context.ts';
import { benchBitmaps } from './bitmap.ts';
import { benchForecastSteps } from './forecast-steps.ts';

const MIB = 1024 * 1024;
const EVENTS = 500;
const ROWS_READ = 10_000;

const environment = {
  cpu: cpus()[0]?.model ?? null,
  cores: cpus().length,
  kernel: release(),
  node: process.version,
  qemu: execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).split('\n')[0],
};

function print(name: string, samples: number, p50Us: number, p99Us: number): void {
  const line = {
    schema: 'slackwater/bench-micro@1',
    name,
    samples,
    p50_us: p50Us,
    p99_us: p99Us,
    environment,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function connectWhenUp(path: string): Promise<QmpClient> {
  for (;;) {
    try {
      return await connectQmp(path);
    } catch (error) {
      if (!(error instanceof QmpConnectError)) throw error;
      await delay(20);
    }
  }
}

/** From QEMU's own time stamp of an event to our receiving it. */
async function eventLatencies(client: QmpClient): Promise<number[]> {
  const stream = client.events(['STOP', 'RESUME']);
  const latenciesUs: number[] = [];
  for (let i = 0; i < EVENTS; i++) {
    const next = stream.next();
    await client.execute(i % 2 === 0 ? 'stop' : 'cont');
    const { value } = await next;
    if (value === undefined) break;
    // Both clocks are this host's; our monotonic receive time is put on the wall clock.
    const wallUs = (performance.timeOrigin + value.receivedMs) * 1000;
    latenciesUs.push(wallUs - value.timestampUs);
  }
  stream.close();
  return latenciesUs;
}

async function benchQmp(directory: string, bench: Bench): Promise<() => Promise<void>> {
  const path = join(directory, 'qmp');
  const qemu = spawn(
    'qemu-system-x86_64',
    ['-machine', 'none', '-display', 'none', '-qmp', `unix:${path},server=on,wait=off`],
    { stdio: 'ignore' },
  );
  const client = await connectWhenUp(path);
  bench.add('qmp round trip: query-status', async () => {
    await client.execute('query-status');
  });
  bench.add('qmp round trip: query-migrate', async () => {
    await client.execute('query-migrate');
  });
  const latenciesUs = await eventLatencies(client);
  print('qmp event: QEMU to us', latenciesUs.length, quantile(latenciesUs, 0.5), quantile(latenciesUs, 0.99));
  return async () => {
    await client.execute('quit').catch(() => undefined);
    await new Promise((resolve) => (qemu.exitCode === null ? qemu.once('exit', resolve) : resolve(null)));
  };
}

/** A round's end in the middle of a migration: the reply read, folded, forecast and decided on. */
const policy = createAdaptivePolicy();

function oneRound(): Observation {
  const nowMs = 4600;
  const observing = foldPass(initObserve(0), 2, nowMs - 2);
  const info = readMigrationInfo({
    status: 'active',
    'expected-downtime': 600,
    ram: {
      transferred: 480 * MIB,
      remaining: 64 * MIB,
      total: 512 * MIB,
      duplicate: 1000,
      'normal-bytes': 470 * MIB,
      mbps: 936,
      'dirty-sync-count': 2,
      'postcopy-requests': 0,
      'page-size': 4096,
    },
  });
  const dirtySamples = [100, 300, 1000].map((windowMs) => ({ windowMs, dirtyBytes: windowMs * 60_000 }));
  const folded = foldReading(observing, {
    info,
    atMs: nowMs,
    dirtySamples,
    pages: null,
    showsPages: false,
    destinationResumed: false,
    switchoverBytesPerSec: null,
  });
  const { forecast } = stepForecast(initForecast({ switchoverMs: 30 }), folded.observation);
  policy.step(policy.init(policyContext()).state, {
    kind: 'observation',
    nowMs,
    observation: folded.observation,
    forecast,
  });
  return folded.observation;
}

const HEADER = {
  tool: 'slackwater',
  policy: 'adaptive',
  mode: 'enforce',
  qemuVersion: '0.0.0',
  objective: {},
  startedAtMs: 0,
};

function benchTrace(directory: string, bench: Bench): void {
  const observation = oneRound();
  const path = join(directory, 'read.trace');
  const written = createTrace(path, HEADER);
  for (let i = 0; i < ROWS_READ; i++) written.observation(observation);
  written.close();
  const trace = createTrace(join(directory, 'append.trace'), HEADER);
  bench.add('trace: append a row', () => trace.observation(observation));
  bench.add(`trace: read ${ROWS_READ} rows`, () => {
    readTrace(path);
  });
}

const directory = mkdtempSync(join(tmpdir(), 'slackwater-bench-'));
try {
  const bench = new Bench({ time: 1000, warmupTime: 200 });
  const stop = await benchQmp(directory, bench);
  bench.add('observe, forecast, decide: one round', () => {
    oneRound();
  });
  benchTrace(directory, bench);
  await bench.run();
  await stop();
  for (const { name, result } of bench.tasks) {
    if (!('latency' in result)) {
      throw new Error(`${name} could not be measured`, {
        cause: 'error' in result ? result.error : result.state,
      });
    }
    const { p50, p99, samplesCount } = result.latency;
    print(name, samplesCount, p50 * 1000, p99 * 1000);
  }
  for (const [observations, withProfile] of [
    [1000, false],
    [1000, true],
    [10_000, true],
  ] as const) {
    const { samples, p50Us, p99Us, stateBytes } = benchForecastSteps(observations, withProfile);
    const of = `${observations} observations${withProfile ? ', a known course' : ''}: state of ${stateBytes} bytes`;
    print(`forecast: one step after ${of}`, samples, p50Us, p99Us);
  }
  for (const { name, samples, medianMs, bytesPerSec, ofMemoryRatio, grownBytes } of benchBitmaps()) {
    const line = {
      schema: 'slackwater/bench-bitmap@1',
      name,
      samples,
      p50_ms: medianMs,
      bytes_per_sec: Math.round(bytesPerSec),
      of_memory_ratio: ofMemoryRatio,
      grown_bytes: grownBytes,
      environment,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
