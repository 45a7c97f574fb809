// SPDX-License-Identifier: Apache-2.0
// What a given QEMU can do, asked of the reply to query-qmp-schema. Feature probes go by this and never by version
// numbers: distributions backport, and builds leave things out.

import { QmpProtocolError } from './errors.ts';
import { isQmpObject, stringifyJsonLossless } from './json.ts';
import type { QmpObject, QmpValue } from './json.ts';

/** One entity of the schema, by its `meta-type`. */
type Entity = QmpObject;

/**
 * The schema of one QEMU. Paths name members from the arguments (or the return, or the data) downwards, separated by
 * dots; arrays are stepped through silently, variants and alternates count with all their branches:
 * `commandArgumentEnumHas('migrate-set-capabilities', 'capabilities.capability', 'postcopy-ram')`.
 */
export class QmpSchema {
  // Types are named by masked numbers, which cannot clash with commands and events.
  readonly #entities = new Map<string, Entity>();

  /** @throws QmpProtocolError when `reply` is not one to query-qmp-schema */
  constructor(reply: QmpValue) {
    for (const entity of Array.isArray(reply) ? (reply as readonly QmpValue[]) : [undefined]) {
      const name = isQmpObject(entity) ? entity['name'] : undefined;
      if (!isQmpObject(entity) || typeof name !== 'string' || typeof entity['meta-type'] !== 'string') {
        throw new QmpProtocolError(
          'the reply to query-qmp-schema is not a schema',
          describe(entity ?? reply),
        );
      }
      this.#entities.set(name, entity);
    }
  }

  /** The names of all commands, sorted. */
  get commands(): readonly string[] {
    return this.#namesOf('command');
  }

  /** The names of all events, sorted. */
  get events(): readonly string[] {
    return this.#namesOf('event');
  }

  hasCommand(command: string): boolean {
    return this.#top('command', command) !== undefined;
  }

  hasEvent(event: string): boolean {
    return this.#top('event', event) !== undefined;
  }

  /** Whether the command may be sent out of band. */
  allowsOob(command: string): boolean {
    return this.#top('command', command)?.['allow-oob'] === true;
  }

  /** Features such as "deprecated" and "unstable" of a command or event; empty when it has none or does not exist. */
  features(name: string): readonly string[] {
    return strings((this.#top('command', name) ?? this.#top('event', name))?.['features']);
  }

  /** Whether the command exists and takes an argument at this path. */
  commandHasArgument(command: string, path: string): boolean {
    return this.#resolve(this.#top('command', command)?.['arg-type'], path).length > 0;
  }

  /** Features such as "deprecated" and "unstable" of an argument at the top level. */
  argumentFeatures(command: string, argument: string): readonly string[] {
    const members = this.#membersOf(this.#top('command', command)?.['arg-type']);
    return strings(members.find((member) => member['name'] === argument)?.['features']);
  }

  /** Whether what the command returns has a member at this path. */
  returnsMember(command: string, path: string): boolean {
    return this.#resolve(this.#top('command', command)?.['ret-type'], path).length > 0;
  }

  /** Whether the event's data has a member at this path. */
  eventHasMember(event: string, path: string): boolean {
    return this.#resolve(this.#top('event', event)?.['arg-type'], path).length > 0;
  }

  /** The values of the enum at this path of a command's arguments; empty when there is none. */
  commandArgumentEnum(command: string, path: string): readonly string[] {
    return this.#enumValues(this.#resolve(this.#top('command', command)?.['arg-type'], path));
  }

  /** Whether the argument at this path is an enum with this value. */
  commandArgumentEnumHas(command: string, path: string, value: string): boolean {
    return this.commandArgumentEnum(command, path).includes(value);
  }

  /** The values of the enum at this path of what a command returns; empty when there is none. */
  returnsEnum(command: string, path: string): readonly string[] {
    return this.#enumValues(this.#resolve(this.#top('command', command)?.['ret-type'], path));
  }

  /** Whether what the command returns has, at this path, an enum with this value. */
  returnsEnumHas(command: string, path: string, value: string): boolean {
    return this.returnsEnum(command, path).includes(value);
  }

  /** The entity of this name as QEMU sent it, for generators of code. */
  entity(name: string): QmpObject | undefined {
    return this.#entities.get(name);
  }

  #namesOf(metaType: string): readonly string[] {
    return [...this.#entities]
      .filter(([, entity]) => entity['meta-type'] === metaType)
      .map(([name]) => name)
      .sort();
  }

  #top(metaType: 'command' | 'event', name: string): Entity | undefined {
    const entity = this.#entities.get(name);
    return entity?.['meta-type'] === metaType ? entity : undefined;
  }

  /** The types found at `path` below the type `root`; several where variants share a member's name. */
  #resolve(root: QmpValue | undefined, path: string): readonly string[] {
    let types = typeof root === 'string' ? [root] : [];
    for (const step of path.split('.')) {
      types = types
        .flatMap((type) => this.#membersOf(type))
        .filter((member) => member['name'] === step)
        .flatMap((member) => (typeof member['type'] === 'string' ? [member['type']] : []));
    }
    return types;
  }

  /** The members of an object type, of all its variants, of an array's elements or of an alternate's branches. */
  #membersOf(type: QmpValue | undefined, seen: ReadonlySet<string> = new Set()): readonly QmpObject[] {
    if (typeof type !== 'string' || seen.has(type)) return [];
    const entity = this.#entities.get(type);
    if (entity === undefined) return [];
    const below = new Set(seen).add(type);
    const own = objects(entity['members']);
    switch (entity['meta-type']) {
      case 'object':
        return [
          ...own,
          ...objects(entity['variants']).flatMap((branch) => this.#membersOf(branch['type'], below)),
        ];
      case 'alternate':
        return own.flatMap((branch) => this.#membersOf(branch['type'], below));
      case 'array':
        return this.#membersOf(entity['element-type'], below);
      default:
        return [];
    }
  }

  #enumValues(types: readonly string[], seen: ReadonlySet<string> = new Set()): readonly string[] {
    return types.flatMap((type) => {
      const entity = seen.has(type) ? undefined : this.#entities.get(type);
      const below = new Set(seen).add(type);
      switch (entity?.['meta-type']) {
        case 'enum':
          // `values` is deprecated in favour of `members`, which 5.x lacks.
          return 'members' in entity
            ? objects(entity['members']).flatMap((member) => strings([member['name'] ?? null]))
            : strings(entity['values']);
        case 'array':
          return this.#enumValues(strings([entity['element-type'] ?? null]), below);
        case 'alternate':
          return objects(entity['members']).flatMap((branch) =>
            this.#enumValues(strings([branch['type'] ?? null]), below),
          );
        default:
          return [];
      }
    });
  }
}

function objects(value: QmpValue | undefined): readonly QmpObject[] {
  return Array.isArray(value) ? (value as readonly QmpValue[]).filter(isQmpObject) : [];
}

function strings(value: QmpValue | undefined): readonly string[] {
  return Array.isArray(value)
    ? (value as readonly QmpValue[]).filter((item): item is string => typeof item === 'string')
    : [];
}

function describe(value: QmpValue): string {
  return stringifyJsonLossless(value).slice(0, 200);
}
