// SPDX-License-Identifier: Apache-2.0
// The part of an experiment file that says what is compared: policies, and the objective each is given.

import { posix } from 'node:path';
import { isMap } from 'yaml';
import {
  choiceKind,
  durationKind,
  type FilePlace,
  formatMs,
  isName,
  type Kind,
  NAME,
  type YamlReader,
} from '../common/index.ts';
import type { Objective } from '../model/index.ts';
import { ORACLE } from './oracle.ts';
import type { ExperimentPolicy, PolicySource } from './schema.ts';

const DEFAULT_OBJECTIVE: Objective = {
  maxDowntimeMs: 300,
  allowDowntimeMs: null,
  deadlineMs: null,
  postcopy: 'allowed',
};

// What QEMU takes as downtime-limit.
const DOWNTIME = durationKind('1ms', '2000s');
const DEADLINE = durationKind('1ms', '24h');
const PROFILE = durationKind('1s', '1h');
const POSTCOPY = choiceKind('allowed', 'required', 'forbidden');
const QEMU = choiceKind('stock', 'patched');

/**
 * The objective at that place, where it says nothing that of `base`. `allow-downtime: null` and `deadline: null` take
 * back what `base` says.
 */
export function readObjective(reader: YamlReader, place: FilePlace, base = DEFAULT_OBJECTIVE): Objective {
  if (place.node === null) return base;
  const fields = reader.fields(place, ['max-downtime', 'allow-downtime', 'deadline', 'postcopy']);
  const { 'max-downtime': max, 'allow-downtime': allow, deadline, postcopy } = fields;
  const objective: Objective = {
    maxDowntimeMs: reader.optional(max, DOWNTIME, base.maxDowntimeMs),
    allowDowntimeMs: reader.optional(allow, DOWNTIME, allow.given ? null : base.allowDowntimeMs),
    deadlineMs: reader.optional(deadline, DEADLINE, deadline.given ? null : base.deadlineMs),
    postcopy: reader.optional(postcopy, POSTCOPY, base.postcopy),
  };
  const { maxDowntimeMs, allowDowntimeMs } = objective;
  if ((max.given || allow.given) && allowDowntimeMs !== null && allowDowntimeMs < maxDowntimeMs) {
    reader.note(
      allow.given ? allow : max,
      `expected an allow-downtime no lower than max-downtime (${formatMs(maxDowntimeMs)}), got ${formatMs(allowDowntimeMs)}`,
    );
  }
  return objective;
}

const SCALED = '@scaled';

const SOURCE: Kind<PolicySource> = {
  wanted: 'the name of a policy, NAME@scaled, or a file such as ./mine.mjs',
  parse: (text) => {
    if (/^\S+\.[cm]?[jt]s$/.test(text)) return { kind: 'file', path: text };
    if (text === ORACLE) return { kind: 'oracle' };
    const scaled = text.endsWith(SCALED);
    const id = scaled ? text.slice(0, -SCALED.length) : text;
    return isName(id) && id !== ORACLE ? { kind: 'named', id, scaled } : undefined;
  },
  standIn: { kind: 'named', id: '', scaled: false },
};

/** A policy given as text alone. A file goes by its name without folder and ending. */
export function readPolicyText(reader: YamlReader, place: FilePlace, objective: Objective): ExperimentPolicy {
  const source = reader.required(place, SOURCE);
  const rest = { objective, profileMs: null, qemu: 'stock' } as const;
  if (source.kind === 'oracle') return { name: ORACLE, source, ...rest };
  if (source.kind === 'named') {
    return { name: source.scaled ? `${source.id}${SCALED}` : source.id, source, ...rest };
  }
  const { name } = posix.parse(source.path);
  if (isName(name)) return { name, source, ...rest };
  reader.note(
    place,
    `expected a file whose name is made of a-z, 0-9 and -, or {name: ..., policy: ${source.path}}, got "${source.path}"`,
  );
  return { name: '', source, ...rest };
}

/** An item of `policies`: a text, or a mapping with a name, an objective, a profile and a QEMU of its own. */
export function readPolicy(reader: YamlReader, place: FilePlace, base: Objective): ExperimentPolicy {
  if (!isMap(place.node)) return readPolicyText(reader, place, base);
  const fields = reader.fields(place, ['name', 'policy', 'objective', 'profile', 'qemu']);
  return {
    name: reader.required(fields.name, NAME),
    source: reader.required(fields.policy, SOURCE),
    objective: readObjective(reader, fields.objective, base),
    profileMs: reader.optional(fields.profile, PROFILE, null),
    qemu: reader.optional(fields.qemu, QEMU, 'stock'),
  };
}
