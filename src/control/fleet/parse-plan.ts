// SPDX-License-Identifier: Apache-2.0
// The plan file of a gang, in YAML, into values; every problem in it is told, with its line.

import {
  choiceKind,
  durationKind,
  FileError,
  type FilePlace,
  integerKind,
  IP_ADDRESS,
  type Kind,
  NAME,
  NIC,
  RATE,
  textKind,
  YamlReader,
  YES_NO,
} from '../../common/index.ts';
import { DEFAULT_THRESHOLDS, gangPolicies } from '../../decide/index.ts';
import type { Objective, Priority, Technique, WorkloadLimits } from '../../model/index.ts';
import { checkHost, HERE, type Place } from '../../tc/index.ts';
import { GANG_SCHEMA, type GangHost, type GangMember, type GangPlanFile, portOf } from './plan.ts';

/** Nothing was changed. */
export class GangPlanError extends FileError {
  readonly code = 'ERR_GANG_PLAN';
}

const KEYS = [
  'schema',
  'source',
  'destination',
  'workloads',
  'reservation',
  'shaping',
  'policy',
  'contention',
  'clustering',
  'sample',
  'launch',
  'defaults',
  'vms',
] as const;
const HOST_KEYS = ['nic', 'link', 'namespace', 'ssh', 'address'] as const;
/** What a VM may have of its own, and `defaults` for all. */
const SHARED_KEYS = [
  'priority',
  'deadline',
  'max-downtime',
  'allow-downtime',
  'postcopy',
  'technique',
  'on-failure',
  'give-up',
] as const;
const VM_KEYS = ['name', 'source', 'destination', 'to', 'tap', 'group', ...SHARED_KEYS] as const;

const MONITOR = textKind(
  'a QMP monitor: /PATH, tcp:HOST:PORT or ssh:HOST:/PATH',
  (text) => /^(unix:)?\/\S+$/.test(text) || /^tcp:\S+:\d+$/.test(text) || /^ssh:\S+:\/\S+$/.test(text),
);
const URI = textKind('where the destination listens: tcp:HOST:PORT', (text) => portOf(text) !== null);
const NAMESPACE = textKind('the name of a network namespace', (text) => /^\w[\w.-]{0,63}$/.test(text));
const HOST: Kind<string> = { wanted: 'a host for ssh such as root@b.example', parse: checkHost, standIn: '' };
const PRIORITY = choiceKind<Priority>('medium', 'high', 'low');
const POSTCOPY = choiceKind<Objective['postcopy']>('allowed', 'required', 'forbidden');
const TECHNIQUE = choiceKind<Technique>('adaptive', 'precopy', 'postcopy', 'hybrid');
const ON_FAILURE = choiceKind<GangMember['onFailure']>('leave', 'retry');
const PERCENT: Kind<number> = {
  wanted: 'a share of the link such as 30%',
  parse: (text) => {
    const value = Number(/^(\d+(?:\.\d+)?)%$/.exec(text)?.[1] ?? Number.NaN);
    return value > 0 && value <= 100 ? value / 100 : undefined;
  },
  standIn: Number.NaN,
};
const WORD = textKind('a word of an argument vector', (text) => text !== '');
const DOWNTIME = durationKind('1ms', '2000s');
const LONG = durationKind('100ms', '720h');
const GROUP = integerKind(0, 1000);

type Shared = Pick<GangMember, 'priority' | 'objective' | 'technique' | 'onFailure' | 'giveUpMs'>;

const DEFAULTS: Shared = {
  priority: 'medium',
  objective: { maxDowntimeMs: 300, allowDowntimeMs: null, deadlineMs: null, postcopy: 'allowed' },
  technique: null,
  onFailure: 'leave',
  giveUpMs: null,
};

function readShared(
  reader: YamlReader,
  fields: Readonly<Record<(typeof SHARED_KEYS)[number], FilePlace>>,
  base: Shared,
): Shared {
  const { objective } = base;
  const maxDowntimeMs = reader.optional(fields['max-downtime'], DOWNTIME, objective.maxDowntimeMs);
  const allowDowntimeMs = reader.optional(fields['allow-downtime'], DOWNTIME, objective.allowDowntimeMs);
  if (allowDowntimeMs !== null && allowDowntimeMs < maxDowntimeMs) {
    reader.note(fields['allow-downtime'], 'is a higher ceiling: it must not be below max-downtime');
  }
  return {
    priority: reader.optional(fields.priority, PRIORITY, base.priority),
    objective: {
      maxDowntimeMs,
      allowDowntimeMs,
      deadlineMs: reader.optional(fields.deadline, LONG, objective.deadlineMs),
      postcopy: reader.optional(fields.postcopy, POSTCOPY, objective.postcopy),
    },
    technique: reader.optional(fields.technique, TECHNIQUE, base.technique),
    onFailure: reader.optional(fields['on-failure'], ON_FAILURE, base.onFailure),
    giveUpMs: reader.optional(fields['give-up'], LONG, base.giveUpMs),
  };
}

function readPlace(reader: YamlReader, namespace: FilePlace, ssh: FilePlace): Place {
  const name = reader.optional(namespace, NAMESPACE, null);
  const host = reader.optional(ssh, HOST, null);
  if (name !== null && host !== null) reader.note(ssh, 'and namespace exclude each other');
  if (host !== null) return { kind: 'ssh', host };
  return name === null ? HERE : { kind: 'namespace', name };
}

function readHost(reader: YamlReader, place: FilePlace): GangHost {
  const { nic, link, namespace, ssh, address } = reader.fields(place, HOST_KEYS);
  return {
    place: readPlace(reader, namespace, ssh),
    nic: reader.required(nic, NIC),
    linkBytesPerSec: reader.required(link, RATE),
    address: reader.optional(address, IP_ADDRESS, null),
  };
}

function readLimits(reader: YamlReader, place: FilePlace, leastLink: number): WorkloadLimits {
  if (!place.given) return { lowerBytesPerSec: 0, upperBytesPerSec: 0 };
  const { lower, upper } = reader.fields(place, ['lower', 'upper']);
  const lowerBytesPerSec = reader.required(lower, RATE);
  const upperBytesPerSec = reader.optional(upper, RATE, lowerBytesPerSec);
  if (upperBytesPerSec < lowerBytesPerSec) reader.note(upper, 'expected no less than lower');
  const most = 0.9 * leastLink;
  if (lowerBytesPerSec > most) {
    reader.note(
      lower,
      `expected a floor of at most 90 % of the slower link (${Math.floor(most)} B/s): a migration needs some, too`,
    );
  } else if (upperBytesPerSec > leastLink) {
    reader.note(upper, `expected no more than the slower link (${leastLink} B/s)`);
  }
  return { lowerBytesPerSec, upperBytesPerSec };
}

function readContention(reader: YamlReader, place: FilePlace): GangPlanFile['thresholds'] {
  if (!place.given) return DEFAULT_THRESHOLDS;
  const { moderate, high } = reader.fields(place, ['moderate', 'high']);
  const moderateFrom = reader.optional(moderate, PERCENT, DEFAULT_THRESHOLDS.moderateFrom);
  const highFrom = reader.optional(high, PERCENT, DEFAULT_THRESHOLDS.highFrom);
  if (highFrom < moderateFrom) reader.note(high, 'expected no less than moderate');
  return { moderateFrom, highFrom };
}

function readMember(reader: YamlReader, place: FilePlace, base: Shared): GangMember {
  const fields = reader.fields(place, VM_KEYS);
  return {
    name: reader.required(fields.name, NAME),
    source: reader.required(fields.source, MONITOR),
    destination: reader.required(fields.destination, MONITOR),
    uri: reader.required(fields.to, URI),
    tap: reader.optional(fields.tap, NIC, null),
    group: reader.optional(fields.group, GROUP, null),
    ...readShared(reader, fields, base),
  };
}

/** So many classes a NIC's tree can have, the two others apart. */
const MOST_VMS = 60;

/** What excludes each other. */
function checkSense(reader: YamlReader, place: FilePlace, { technique, objective }: GangMember): void {
  const { postcopy } = objective;
  if (postcopy === 'forbidden' && (technique === 'postcopy' || technique === 'hybrid')) {
    reader.note(place, `technique ${technique} needs post-copy, which is forbidden`);
  }
  if (postcopy === 'required' && technique === 'precopy') {
    reader.note(place, 'technique precopy does without post-copy, which is required');
  }
}

/** Each of these once in the whole file: two VMs behind one socket, or on one port, would be one VM. */
function checkUnique(reader: YamlReader, places: readonly FilePlace[], members: readonly GangMember[]): void {
  const seen = new Map<string, string>();
  members.forEach((member, i) => {
    const place = places[i];
    if (place === undefined) return;
    const taken: readonly (readonly [what: string, value: string | null])[] = [
      ['name', member.name],
      ['monitor', member.source],
      ['monitor', member.destination],
      // Streams are told apart by their ports.
      ['port', `${portOf(member.uri) ?? ''}`],
      ['TAP device', member.tap],
    ];
    for (const [what, value] of taken) {
      if (value === null || value === '') continue;
      const key = `${what} ${value.replace(/^unix:/, '')}`;
      const other = seen.get(key);
      if (other !== undefined) reader.note(place, `the ${key} is that of ${other} already`);
      seen.set(key, member.name);
    }
  });
}

/** @throws GangPlanError with all problems */
export function parseGangPlan(text: string, fileName: string): GangPlanFile {
  const reader = new YamlReader(text);
  const fields = reader.fields(reader.root, KEYS);
  reader.required(fields.schema, choiceKind(GANG_SCHEMA));
  const source = readHost(reader, fields.source);
  const destination = readHost(reader, fields.destination);
  const names = gangPolicies().map(({ name }) => name);
  const [firstName = '', ...otherNames] = names;
  const base = fields.defaults.given
    ? readShared(reader, reader.fields(fields.defaults, SHARED_KEYS), DEFAULTS)
    : DEFAULTS;
  const places = reader.items(fields.vms);
  const members = places.map((place) => readMember(reader, place, base));
  checkUnique(reader, places, members);
  members.forEach((member, i) => {
    const place = places[i];
    if (place !== undefined) checkSense(reader, place, member);
  });
  if (members.length > MOST_VMS)
    reader.note(fields.vms, `expected at most ${MOST_VMS} VMs, got ${members.length}`);
  const launch = fields.launch.given
    ? reader.items(fields.launch).map((word) => reader.required(word, WORD))
    : null;
  members.forEach(({ onFailure, name }, i) => {
    const place = places[i];
    if (onFailure === 'retry' && launch === null && place !== undefined) {
      reader.note(place, `${name}: on-failure: retry needs launch, for a QEMU takes in only one migration`);
    }
  });
  const plan: GangPlanFile = {
    source,
    destination,
    limits: readLimits(
      reader,
      fields.workloads,
      Math.min(source.linkBytesPerSec, destination.linkBytesPerSec),
    ),
    reservation: reader.optional(fields.reservation, choiceKind('shares', 'algorithm-2'), 'shares'),
    shaping: reader.optional(fields.shaping, YES_NO, true),
    policy: reader.optional(fields.policy, choiceKind(firstName, ...otherNames), firstName),
    thresholds: readContention(reader, fields.contention),
    clustering: reader.optional(fields.clustering, choiceKind('fuzzy', 'plain'), 'fuzzy'),
    sampleMs: reader.optional(fields.sample, durationKind('1s', '10min'), 3000),
    launch,
    members,
  };
  members.forEach(({ group }, i) => {
    const place = places[i];
    if (group !== null && plan.policy !== 'as-written' && place !== undefined) {
      reader.note(place, `group is for policy as-written; ${plan.policy} finds an order of its own`);
    }
  });
  if (plan.reservation === 'algorithm-2' && !plan.shaping) {
    reader.note(fields.reservation, 'algorithm-2 is carried out by shaping, which is off');
  }
  if (reader.problems.length > 0) throw new GangPlanError(fileName, reader.problems);
  return plan;
}
