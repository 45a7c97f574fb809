// SPDX-License-Identifier: Apache-2.0
// One run of a traffic experiment: guests booted, traffic flowing, the gang's command as an operator types it, and everything
// checked and counted. A run that cannot be carried out is a record, too.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type FlowRecord,
  type GangDocument,
  TRAFFIC_RUN_SCHEMA,
  type TrafficEnd,
  type TrafficExperiment,
  type TrafficRecord,
  type TrafficRun,
  type TrafficVm,
} from '../../src/experiment/index.ts';
import { messageOf } from '../../src/index.ts';
import {
  foreignRatio,
  type MachineUse,
  readMachineUse,
  stealRatio,
  takenReasons,
} from '../experiment/disturbance.ts';
import type { RunDirectory } from '../experiment/results-store.ts';
import { ENDPOINTS, NEIGHBOUR_ENDPOINTS, namespaceOf, switchInlet } from '../index.ts';
import {
  echoArgs,
  nicwatchArgs,
  readProbes,
  receiverArgs,
  RunningNicwatch,
  RunningUdpload,
  senderArgs,
  startProber,
} from '../measure/index.ts';
import type { startLongLived } from '../process.ts';
import { startController } from '../stage/controller.ts';
import { type GangGuest, GangStage } from '../stage/gang-stage.ts';
import type { Laboratory } from '../stage/laboratory.ts';
import { readWorkload, resolveWorkload } from '../workload/index.ts';
import { orderedBy } from './oracle.ts';
import { probeFigures } from './probe-figures.ts';

export interface CarryOutOptions {
  readonly experiment: TrafficExperiment;
  readonly laboratory: Laboratory;
  readonly run: TrafficRun;
  readonly attempt: number;
  readonly directory: RunDirectory;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

const MIB = 1024 * 1024;
const FIRST_FLOW_PORT = 5101;
/** Where nobody listens: what guests get of their own. */
const DISCARD_PORT = 9;
const ECHO_PORT = 7;
/** What flows after the last migration's end, so that its last windows are whole. */
const AFTER_MS = 1000;
/** A gang that has not ended by then never will. */
const LATE_MS = 120_000;

function guestOf(
  vm: TrafficVm,
  { policy }: TrafficRun,
  seed: number,
  ordered: Readonly<Record<string, string>>,
): GangGuest {
  const memoryMib = Math.round(vm.memoryBytes / MIB);
  const { guest } = resolveWorkload(readWorkload(vm.workload), memoryMib);
  const sends =
    vm.sendsBytesPerSec === 0 ? {} : { sends: { ip: ENDPOINTS.client.ip, bytesPerSec: vm.sendsBytesPerSec } };
  return {
    name: vm.name,
    spec: { memoryMib, vcpus: 1, seed, work: false, diskBlocksPerSec: 0, ...guest, ...sends },
    plan: {
      priority: policy.priority ?? vm.priority,
      ...ordered,
      ...(policy.technique === null ? {} : { technique: policy.technique }),
      ...(vm.deadlineMs === null ? {} : { deadline: `${vm.deadlineMs}ms` }),
    },
  };
}

function ipOf(end: TrafficEnd): string {
  return end === 'client' ? ENDPOINTS.client.ip : NEIGHBOUR_ENDPOINTS[end].ip;
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const PIPES: Parameters<typeof startLongLived>[1] = { stdio: ['ignore', 'pipe', 'pipe'] };

/** Everything that flows and counts, from its start to its end. */
class Traffic {
  readonly #options: CarryOutOptions;
  readonly #stage: GangStage;
  readonly #flows: {
    readonly index: number;
    readonly sender: RunningUdpload;
    readonly receiver: RunningUdpload;
  }[] = [];
  readonly #others: RunningUdpload[] = [];
  #nic: RunningNicwatch | null = null;

  constructor(options: CarryOutOptions, stage: GangStage) {
    this.#options = options;
    this.#stage = stage;
  }

  async #udpload(where: TrafficEnd, args: readonly string[]): Promise<RunningUdpload> {
    const { udploadPath } = this.#options.laboratory.tools;
    return new RunningUdpload(await this.#stage.testbed.startOn(where, [udploadPath, ...args], PIPES));
  }

  /** What guests receive, and the service that is probed: before the gang. */
  async startSteady(): Promise<void> {
    const { run } = this.#options;
    for (const { guest, ip } of this.#stage.staged) {
      const vm = run.case.vms.find(({ name }) => name === guest.name);
      if (vm === undefined || vm.receivesBytesPerSec === 0) continue;
      const steps = [{ fromMs: 0, bytesPerSec: vm.receivesBytesPerSec }];
      this.#others.push(await this.#udpload('client', senderArgs(ip, DISCARD_PORT, steps)));
    }
    if (run.case.probed !== null)
      this.#others.push(await this.#udpload(run.case.probed, echoArgs(ECHO_PORT)));
  }

  /** The flows with their steps, and what the source's link carries: their times count from now. */
  async startFlows(): Promise<void> {
    const { run, laboratory } = this.#options;
    const { nicwatchPath } = laboratory.tools;
    this.#nic = new RunningNicwatch(
      await this.#stage.testbed.startOn('sw', [nicwatchPath, ...nicwatchArgs(switchInlet('src'))], PIPES),
    );
    for (const [index, { from, to, steps }] of run.case.flows.entries()) {
      const port = FIRST_FLOW_PORT + index;
      const receiver = await this.#udpload(to, receiverArgs(port));
      const sender = await this.#udpload(from, senderArgs(ipOf(to), port, steps));
      this.#flows.push({ index, sender, receiver });
    }
  }

  async stop(): Promise<{ readonly flows: FlowRecord[]; readonly source: TrafficRecord['source'] }> {
    const flows: FlowRecord[] = [];
    for (const { index, sender, receiver } of this.#flows) {
      const flow = this.#options.run.case.flows[index];
      const [sent, received] = [await sender.stop(), await receiver.stop()];
      if (flow !== undefined) flows.push({ from: flow.from, to: flow.to, sent, received });
    }
    for (const other of this.#others) await other.stop();
    return { flows, source: (await this.#nic?.stop()) ?? null };
  }
}

/** When the migrations began and ended, on the monotonic clock. */
function momentsOf(gang: GangDocument, wallOffsetMs: number): Pick<TrafficRecord, 'beganMs' | 'endedMs'> {
  const begun = gang.vms.filter(({ migration }) => migration.started_at_ms > 0);
  const began = begun.map(({ migration }) => migration.started_at_ms - wallOffsetMs);
  const ended = begun.map(
    ({ migration, start_ms, end_ms }) =>
      migration.started_at_ms -
      wallOffsetMs +
      (migration.tmt_ms ?? Math.max(0, (end_ms ?? 0) - (start_ms ?? 0))),
  );
  return {
    beganMs: began.length === 0 ? null : Math.min(...began),
    endedMs: ended.length === 0 ? null : Math.max(...ended),
  };
}

function disturbances(before: MachineUse): string[] {
  const now = readMachineUse();
  return takenReasons({ steal: stealRatio(before.cpu, now.cpu), foreign: foreignRatio(before, now) });
}

async function migrateGang(
  options: CarryOutOptions,
  stage: GangStage,
): Promise<Omit<TrafficRecord, 'schema' | 'case' | 'policy' | 'repeat' | 'attempt' | 'startedAt'>> {
  const { experiment, run, directory, laboratory, onLine } = options;
  await stage.boot();
  const traffic = new Traffic(options, stage);
  await traffic.startSteady();
  await stage.settle(experiment.settleMs);
  const planPath = join(directory.path, 'plan.yaml');
  writeFileSync(planPath, stage.planText(run.policy.plan));
  const probesPath = join(stage.testbed.directory, 'probes');
  const prober =
    run.case.probed === null
      ? null
      : await startProber({
          proberPath: laboratory.tools.proberPath,
          netns: namespaceOf(stage.testbed.name, 'client'),
          guestIp: NEIGHBOUR_ENDPOINTS[run.case.probed].ip,
          probesPath,
        });
  const useBefore = readMachineUse();
  await traffic.startFlows();
  const probedFromMs = monotonicMs();
  const { ended } = startController(['gang', planPath, '--json'], onLine);
  const result = await ended;
  await delay(AFTER_MS);
  const wallOffsetMs = Date.now() - monotonicMs();
  const { flows, source } = await traffic.stop();
  await prober?.stop();
  writeFileSync(join(directory.path, 'controller.log'), result.stderr);
  if (result.stdout.trim() === '') throw new Error(`slackwater gang: ${result.stderr.trim().slice(-500)}`);
  const gang = JSON.parse(result.stdout) as GangDocument;
  const moments = momentsOf(gang, wallOffsetMs);
  let coherent = true;
  for (const each of stage.staged) {
    const outcome = gang.vms.find(({ name }) => name === each.guest.name)?.migration.outcome;
    const where = outcome === 'completed' ? 'destination' : 'source';
    // A guest that cannot be asked where it should be is lost, whatever became of it.
    const badPages = await stage.verify(each, where).then(
      ({ badPageCount }) => badPageCount,
      () => Infinity,
    );
    coherent &&= badPages === 0;
  }
  const probes = prober === null ? null : await readProbes(probesPath);
  const { beganMs, endedMs } = moments;
  return {
    outcome: 'carried-out',
    reason: gang.vms.every(({ migration }) => migration.outcome === 'completed')
      ? 'all completed'
      : 'not all completed',
    gang,
    ...moments,
    source,
    flows,
    probes:
      probes === null || beganMs === null || endedMs === null
        ? null
        : {
            before: probeFigures(probes, probedFromMs, beganMs),
            during: probeFigures(probes, beganMs, endedMs),
          },
    coherent,
    disturbances: disturbances(useBefore),
  };
}

/** Rejects only when it was interrupted. */
export async function carryOutTraffic(options: CarryOutOptions): Promise<TrafficRecord> {
  const { experiment, run, attempt, laboratory, signal } = options;
  const identity = {
    schema: TRAFFIC_RUN_SCHEMA,
    case: run.case.name,
    policy: run.policy.name,
    repeat: run.repeat,
    attempt,
    startedAt: new Date().toISOString(),
  } as const;
  const late = AbortSignal.timeout(LATE_MS + experiment.settleMs);
  try {
    const orderOf = orderedBy(experiment, run.case, run.policy);
    const stage = await GangStage.create({
      laboratory,
      link: experiment.link,
      neighbours: true,
      signal,
      guests: run.case.vms.map((vm, i) => guestOf(vm, run, experiment.seed + i, orderOf(vm.name))),
    });
    const takeDown = (): void => void stage.down().catch(() => undefined);
    const ending = AbortSignal.any([signal, late]);
    ending.addEventListener('abort', takeDown);
    try {
      return { ...identity, ...(await migrateGang(options, stage)) };
    } finally {
      ending.removeEventListener('abort', takeDown);
      await stage.down();
    }
  } catch (error) {
    signal.throwIfAborted();
    return {
      ...identity,
      outcome: 'failed',
      reason: late.aborted ? `not over after ${LATE_MS / 1000} s` : messageOf(error),
      gang: null,
      beganMs: null,
      endedMs: null,
      source: null,
      flows: [],
      probes: null,
      coherent: null,
      disturbances: [],
    };
  }
}
