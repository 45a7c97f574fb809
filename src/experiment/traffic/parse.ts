// SPDX-License-Identifier: Apache-2.0
// Reads the file of a traffic experiment; every problem in it is told, with its line.

import {
  ANY_TEXT,
  choiceKind,
  durationKind,
  type FilePlace,
  integerKind,
  type Kind,
  NAME,
  parseDurationMs,
  parseRateBytesPerSec,
  RATE,
  TEXT_LINE,
  textKind,
  YamlReader,
  YES_NO,
} from '../../common/index.ts';
import { ExperimentError } from '../errors.ts';
import { LINK, MEMORY } from '../kinds.ts';
import {
  ORACLE_ORDERS,
  type RateStep,
  TRAFFIC_ENDS,
  TRAFFIC_SCHEMA,
  type TrafficCase,
  type TrafficExperiment,
  type TrafficFlow,
  type TrafficPolicy,
  type TrafficVm,
} from './scenario.ts';

const KEYS = [
  'schema',
  'name',
  'title',
  'about',
  'link',
  'repeats',
  'seed',
  'settle',
  'floor',
  'vms',
  'cases',
  'policies',
] as const;
const VM_KEYS = ['name', 'memory', 'workload', 'priority', 'deadline', 'sends', 'receives'] as const;

const PRIORITY = choiceKind('medium', 'high', 'low');
const DEADLINE = durationKind('100ms', '24h');
const END = choiceKind(...TRAFFIC_ENDS);
const PROBED = choiceKind('near-src', 'near-dst');
/** "80mbit", or from moments on: "80mbit, 2s: 300mbit, 4s: 0mbit". */
const STEPS: Kind<readonly RateStep[]> = {
  wanted: 'a rate, or rates from moments on such as "80mbit, 2s: 300mbit"',
  parse: (text) => {
    const steps = text.split(',').map((part, i): RateStep => {
      const [at, rate, ...more] = part.includes(':') ? part.split(':') : ['0ms', part];
      if (more.length > 0 || (i > 0 && !part.includes(':'))) return { fromMs: Number.NaN, bytesPerSec: 0 };
      return {
        fromMs: parseDurationMs(at?.trim() ?? ''),
        bytesPerSec: parseRateBytesPerSec(rate?.trim() ?? ''),
      };
    });
    const inOrder = steps.every(
      ({ fromMs }, i) => fromMs >= 0 && (i === 0 || fromMs > (steps[i - 1]?.fromMs ?? 0)),
    );
    return inOrder ? steps : undefined;
  },
  standIn: [],
};

function readVm(reader: YamlReader, place: FilePlace): TrafficVm {
  const fields = reader.fields(place, VM_KEYS);
  return {
    name: reader.required(fields.name, NAME),
    memoryBytes: reader.required(fields.memory, MEMORY),
    workload: reader.required(fields.workload, NAME),
    priority: reader.optional(fields.priority, PRIORITY, 'medium'),
    deadlineMs: reader.optional(fields.deadline, DEADLINE, null),
    sendsBytesPerSec: reader.optional(fields.sends, RATE, 0),
    receivesBytesPerSec: reader.optional(fields.receives, RATE, 0),
  };
}

function readFlow(reader: YamlReader, place: FilePlace): TrafficFlow {
  const { from, to, rate } = reader.fields(place, ['from', 'to', 'rate']);
  return {
    from: reader.required(from, END),
    to: reader.required(to, END),
    steps: reader.required(rate, STEPS),
  };
}

/** A case has VMs of its own, or those of the file. */
function readCase(reader: YamlReader, place: FilePlace, shared: readonly TrafficVm[]): TrafficCase {
  const fields = reader.fields(place, ['name', 'vms', 'flows', 'probed']);
  const vms = fields.vms.given ? reader.items(fields.vms).map((vm) => readVm(reader, vm)) : shared;
  if (vms.length === 0) reader.note(place, 'expected VMs, here or for the whole file');
  return {
    name: reader.required(fields.name, NAME),
    vms,
    flows: fields.flows.given ? reader.items(fields.flows).map((flow) => readFlow(reader, flow)) : [],
    probed: reader.optional(fields.probed, PROBED, null),
  };
}

const ANY_RATE_TEXT = textKind('a rate such as 100mbit', (text) => parseRateBytesPerSec(text) > 0);

/** `gang: oracle` stands for several: the best orders of the model. */
function readPolicies(reader: YamlReader, place: FilePlace): TrafficPolicy[] {
  const fields = reader.fields(place, [
    'name',
    'gang',
    'workloads',
    'reservation',
    'shaping',
    'priority',
    'technique',
  ]);
  const workloads = fields.workloads.given ? reader.fields(fields.workloads, ['lower', 'upper']) : null;
  const reservation = reader.optional(fields.reservation, choiceKind('shares', 'algorithm-2'), null);
  const shaping = reader.optional(fields.shaping, YES_NO, null);
  const name = reader.required(fields.name, NAME);
  const gang = reader.required(fields.gang, NAME);
  const policy: TrafficPolicy = {
    name,
    oracleRank: null,
    priority: reader.optional(fields.priority, PRIORITY, null),
    technique: reader.optional(
      fields.technique,
      choiceKind('precopy', 'postcopy', 'hybrid', 'adaptive'),
      null,
    ),
    plan: {
      policy: gang === 'oracle' ? 'as-written' : gang,
      ...(workloads === null
        ? {}
        : {
            workloads: {
              lower: reader.required(workloads.lower, ANY_RATE_TEXT),
              upper: reader.required(workloads.upper, ANY_RATE_TEXT),
            },
          }),
      ...(reservation === null ? {} : { reservation }),
      ...(shaping === null ? {} : { shaping }),
    },
  };
  if (gang !== 'oracle') return [policy];
  return Array.from({ length: ORACLE_ORDERS }, (_, i) => ({
    ...policy,
    name: `${name}-${i + 1}`,
    oracleRank: i + 1,
  }));
}

/** Runs are told apart by these names. */
function checkOnce(reader: YamlReader, place: FilePlace, named: readonly { readonly name: string }[]): void {
  const twice = named.find(({ name }, i) => named.findIndex((other) => other.name === name) !== i);
  if (twice !== undefined) reader.note(place, `the name ${twice.name} is given twice`);
}

/** @throws ExperimentError with all problems */
export function parseTraffic(text: string, fileName: string): TrafficExperiment {
  const reader = new YamlReader(text);
  const fields = reader.fields(reader.root, KEYS);
  reader.required(fields.schema, choiceKind(TRAFFIC_SCHEMA));
  const shared = fields.vms.given ? reader.items(fields.vms).map((vm) => readVm(reader, vm)) : [];
  const experiment: TrafficExperiment = {
    name: reader.required(fields.name, NAME),
    title: reader.required(fields.title, TEXT_LINE),
    about: reader.optional(fields.about, ANY_TEXT, null),
    link: reader.required(fields.link, LINK),
    repeats: reader.required(fields.repeats, integerKind(1, 100)),
    seed: reader.optional(fields.seed, integerKind(0, 2 ** 31), 1),
    settleMs: reader.optional(fields.settle, durationKind('0ms', '60s'), 2000),
    floorBytesPerSec: reader.optional(fields.floor, RATE, null),
    cases: reader.items(fields.cases).map((each) => readCase(reader, each, shared)),
    policies: reader.items(fields.policies).flatMap((each) => readPolicies(reader, each)),
  };
  checkOnce(reader, fields.cases, experiment.cases);
  checkOnce(reader, fields.policies, experiment.policies);
  if (reader.problems.length > 0) throw new ExperimentError(fileName, reader.problems);
  return experiment;
}
