// SPDX-License-Identifier: Apache-2.0
// The experiment file that people write, in YAML, into an Experiment; every problem in it is reported, with its line.

import { isMap } from 'yaml';
import {
  ANY_TEXT,
  choiceKind,
  durationKind,
  type FilePlace,
  integerKind,
  IP_ADDRESS,
  IPV4_ADDRESS,
  NAME,
  NIC,
  RATE,
  SSH_HOST,
  TEXT_LINE,
  YamlReader,
} from '../common/index.ts';
import type { Objective } from '../model/index.ts';
import { ExperimentError } from './errors.ts';
import { IPV4_IN_NETWORK, isInNetwork, LINK, MEMORY, PROGRAM, WORKLOAD } from './kinds.ts';
import { readBounds } from './parse-bounds.ts';
import { readObjective, readPolicy, readPolicyText } from './parse-policies.ts';
import { ORACLE } from './oracle.ts';
import { linkSlug } from './run-key.ts';
import type { ControlPlan, Experiment, ExperimentGuest, ExperimentHosts, MigrationHost } from './schema.ts';
import { CONTROL_GUEST_NAME, EXPERIMENT_SCHEMA } from './schema.ts';
import { DEFAULT_ATTEMPTS } from './next-run.ts';

const KEYS = [
  'schema',
  'name',
  'title',
  'about',
  'guests',
  'links',
  'policies',
  'objective',
  'bandwidth',
  'repeats',
  'attempts',
  'cap',
  'settle',
  'seed',
  'control',
  'hosts',
  'bounds',
] as const;

const DEFAULT_SETTLE_MS = 2000;
const DEFAULT_SEED = 1;
const DEFAULT_CONTROL_EVERY_RUNS = 10;
const DEFAULT_CONTROL_POLICY = 'qemu-default';

/**
 * Reads an experiment file. `fileName` is only what messages call it.
 * @throws ExperimentError that lists all problems, one a line: `convergence.yaml:12: cap: expected a duration of ...`
 */
export function parseExperiment(text: string, fileName: string): Experiment {
  const reader = new YamlReader(text);
  const fields = reader.fields(reader.root, KEYS);
  const objective = readObjective(reader, fields.objective);
  const guests = readDistinct(reader, fields.guests, (place) => readGuest(reader, place), nameOf);
  const policies = readDistinct(
    reader,
    fields.policies,
    (place) => readPolicy(reader, place, objective),
    nameOf,
  );
  const experiment: Experiment = {
    schema: reader.required(fields.schema, choiceKind(EXPERIMENT_SCHEMA)),
    name: reader.required(fields.name, NAME),
    title: reader.required(fields.title, TEXT_LINE),
    about: reader.optional(fields.about, ANY_TEXT, null),
    guests,
    links: readDistinct(reader, fields.links, (place) => reader.required(place, LINK), linkSlug),
    policies,
    objective,
    maxBandwidthBytesPerSec: reader.optional(fields.bandwidth, RATE, null),
    repeats: reader.required(fields.repeats, integerKind(1, 1000)),
    maxAttempts: reader.optional(fields.attempts, integerKind(1, 10), DEFAULT_ATTEMPTS),
    capMs: reader.required(fields.cap, durationKind('1s', '24h')),
    ...readSettle(reader, fields.settle),
    // Each repeat adds one, and guests take 32 bits.
    seed: reader.optional(fields.seed, integerKind(0, 2 ** 31 - 1), DEFAULT_SEED),
    control: readControl(reader, fields.control, objective),
    hosts: fields.hosts.node === null ? null : readHosts(reader, fields.hosts),
    bounds: readBounds(reader, fields.bounds, guests, policies),
  };
  if (reader.problems.length > 0) throw new ExperimentError(fileName, reader.problems);
  return experiment;
}

/** A time, or the two ends of a range. */
function readSettle(reader: YamlReader, place: FilePlace): Pick<Experiment, 'settleMs' | 'settleToMs'> {
  const kind = durationKind('0s', '1h');
  if (!isMap(place.node)) {
    const settleMs = reader.optional(place, kind, DEFAULT_SETTLE_MS);
    return { settleMs, settleToMs: settleMs };
  }
  const fields = reader.fields(place, ['from', 'to']);
  const settleMs = reader.required(fields.from, kind);
  const settleToMs = reader.required(fields.to, kind);
  if (settleToMs < settleMs) reader.note(fields.to, 'expected an end that is not before the beginning');
  return { settleMs, settleToMs };
}

function readGuest(reader: YamlReader, place: FilePlace): ExperimentGuest {
  const fields = reader.fields(place, ['name', 'memory', 'vcpus', 'workload']);
  const name = reader.required(fields.name, NAME);
  if (name === CONTROL_GUEST_NAME) {
    reader.note(
      fields.name,
      `expected a name other than "${name}", which is that of the control runs' guest`,
    );
  }
  return {
    name,
    memoryBytes: reader.required(fields.memory, MEMORY),
    vcpus: reader.optional(fields.vcpus, integerKind(1, 255), 1),
    workload: reader.required(fields.workload, WORKLOAD),
  };
}

function readControl(reader: YamlReader, place: FilePlace, objective: Objective): ControlPlan | null {
  const fields =
    place.node === null ? { every: place, policy: place } : reader.fields(place, ['every', 'policy']);
  const everyRuns = reader.optional(fields.every, integerKind(0, 1000), DEFAULT_CONTROL_EVERY_RUNS);
  const policy =
    fields.policy.node === null
      ? {
          name: DEFAULT_CONTROL_POLICY,
          source: { kind: 'named', id: DEFAULT_CONTROL_POLICY, scaled: false } as const,
          objective,
          profileMs: null,
          qemu: 'stock' as const,
        }
      : readPolicyText(reader, fields.policy, objective);
  if (policy.source.kind === 'oracle') {
    reader.note(fields.policy, `expected a policy that needs no search, got "${ORACLE}"`);
  }
  return everyRuns === 0 ? null : { everyRuns, policy };
}

function readHosts(reader: YamlReader, place: FilePlace): ExperimentHosts {
  const fields = reader.fields(place, ['source', 'destination', 'client', 'guest']);
  const source = readHost(reader, fields.source);
  const destination = readHost(reader, fields.destination);
  const clientFields = reader.fields(fields.client, ['ssh', 'address']);
  const client = {
    ssh: reader.required(clientFields.ssh, SSH_HOST),
    address: reader.required(clientFields.address, IPV4_ADDRESS),
  };
  const guestFields = reader.fields(fields.guest, ['address']);
  const guest = { address: reader.required(guestFields.address, IPV4_IN_NETWORK) };
  // A host reaches no guest that shares its NIC by macvtap, so the client cannot be one of the two.
  noteSame(reader, 'ssh', [
    [source.ssh, 'source', fields.source],
    [destination.ssh, 'destination', fields.destination],
    [client.ssh, 'client', fields.client],
  ]);
  const guestIp = guest.address.replace(/\/.*/, '');
  noteSame(reader, 'address', [
    [source.address, 'source', fields.source],
    [destination.address, 'destination', fields.destination],
    [client.address, 'client', fields.client],
    [guestIp, 'guest', fields.guest],
  ]);
  if (client.address !== '' && guest.address !== '' && !isInNetwork(client.address, guest.address)) {
    const wanted = `expected an address in the guest's network ${guest.address}`;
    reader.note(clientFields.address, `${wanted}, got "${client.address}"`);
  }
  return { source, destination, client, guest };
}

/** Notes each value that is that of an earlier one too. */
function noteSame(
  reader: YamlReader,
  what: string,
  values: readonly (readonly [value: string, whose: string, place: FilePlace])[],
): void {
  for (const [index, [value, , place]] of values.entries()) {
    const first = values.slice(0, index).find(([earlier]) => earlier === value);
    if (value === '' || first === undefined) continue;
    reader.note(place, `expected another ${what} than that of the ${first[1]}, got "${value}"`);
  }
}

function readHost(reader: YamlReader, place: FilePlace): MigrationHost {
  const fields = reader.fields(place, ['ssh', 'nic', 'address', 'qemu']);
  return {
    ssh: reader.required(fields.ssh, SSH_HOST),
    nic: reader.required(fields.nic, NIC),
    address: reader.required(fields.address, IP_ADDRESS),
    qemu: reader.required(fields.qemu, PROGRAM),
  };
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

/** The values of a list; one that `nameOf` calls the same as an earlier one is noted. */
function readDistinct<T>(
  reader: YamlReader,
  place: FilePlace,
  read: (item: FilePlace) => T,
  nameOf: (value: T) => string,
): T[] {
  const firstOf = new Map<string, FilePlace>();
  return reader.items(place).map((item) => {
    const value = read(item);
    const name = nameOf(value);
    const first = firstOf.get(name);
    if (name !== '' && first !== undefined) {
      reader.note(item, `"${name}" is given already: ${first.path} in line ${first.line}`);
    }
    firstOf.set(name, first ?? item);
    return value;
  });
}
