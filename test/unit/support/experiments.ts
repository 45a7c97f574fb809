// SPDX-License-Identifier: Apache-2.0
// An experiment and its records, as tests begin with them.

import {
  type Experiment,
  type ExperimentPolicy,
  parseExperiment,
  type PlannedRun,
  type RunRecord,
} from '../../../src/experiment/index.ts';

export const FULL = `# who finishes
schema: slackwater/experiment@1
name: convergence
title: Who finishes
about: |
  How soon, and what the clients see.
guests:
  - name: hot-64m
    memory: 512MiB
    workload: steady-64m
  - { name: wide, memory: 2GiB, vcpus: 2, workload: zipf }
links: [lan-1g, 112mbit]
policies:
  - adaptive
  - nova@scaled
  - ./policies/mine.mjs
  - name: adaptive-precopy
    policy: adaptive
    qemu: patched
    objective: { postcopy: forbidden, deadline: null }
objective: { max-downtime: 300ms, allow-downtime: 800ms, deadline: 60s }
bandwidth: 16gbit
repeats: 5
cap: 120s
settle: 1.5s
attempts: 2
seed: 7
control: { every: 20, policy: nova }
hosts:
  source: { ssh: host1, nic: eth1, address: 10.0.0.1, qemu: /usr/bin/qemu }
  destination: { ssh: root@host2, nic: eth1, address: 'fd00::2', qemu: /opt/qemu }
  client: { ssh: host3, address: 10.0.0.3 }
  guest: { address: 10.0.0.10/24 }
`;

export function experiment(changes: Partial<Experiment> = {}): Experiment {
  return { ...parseExperiment(FULL, 'x.yaml'), control: null, hosts: null, ...changes };
}

export function policies(...names: string[]): Experiment['policies'] {
  const { objective } = experiment();
  return names.map((name) => ({
    name,
    source: { kind: 'named', id: name, scaled: false },
    objective,
    profileMs: null,
    qemu: 'stock',
  }));
}

export function oracle(): ExperimentPolicy {
  return {
    name: 'oracle',
    source: { kind: 'oracle' },
    objective: policies('a')[0]!.objective,
    profileMs: null,
    qemu: 'stock',
  };
}

export function controlEvery(everyRuns: number): Experiment['control'] {
  return { everyRuns, policy: policies('qemu-default')[0]! };
}

export const RECORD = `{"schema":"slackwater/run@1","kind":"cell","guest":"","link":"","policy":"","repeat":0,"attempt":0,
"startedAt":"2026-01-02T03:04:05.678Z","outcome":"completed","reason":"","capped":false,"tmtMs":5000,
"downtimeQemuMs":1,"downtimeStopToResumeMs":29.5,"downtimeGuestMs":300,"downtimeGuestAtLeastMs":298,
"downtimeForecastMs":null,"transferredBytes":5e8,"rounds":2,"usedPostcopy":true,"floorBytes":4e8,"floorMs":3600,
"workPerSec":{"before":100,"during":80,"after":null},"app":{"name":"redis","before":{"requestsPerSec":1,"p50Ms":1,
"p99Ms":2,"errors":0},"during":null,"after":null},"coherent":true,"lostPages":0,"lostBlocks":null,"disturbances":[],
"stealRatio":0.001,"proberGapMs":2,"files":{"trace":"runs/x/trace","series":null,"logs":["a.log"]}}`;

export function record(run: PlannedRun, attempt: number, changes: object = {}): RunRecord {
  const { kind, link, repeat } = run;
  const names = {
    kind,
    guest: run.guest.name,
    link,
    policy: run.policy.name,
    setting: null,
    repeat,
    attempt,
  };
  return { ...(JSON.parse(RECORD) as RunRecord), ...names, ...changes };
}

export const CAPPED = { outcome: 'source-running', capped: true, tmtMs: null };
export const DISTURBED = { disturbances: ['steal'] };
export const FAILED = { outcome: 'failed', reason: 'the guest did not boot' };
