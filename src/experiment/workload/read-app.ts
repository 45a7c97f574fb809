// SPDX-License-Identifier: Apache-2.0
// The `app` of a workload file, and the `load` that its client makes.

import { type FilePlace, integerKind, TEXT_LINE, type YamlReader } from '../../common/index.ts';
import { AMOUNT, numberKind, oneOf, RATE, RATIO, VALUE_SIZE } from './kinds.ts';
import type { AppName, AppTemplate, LoadTemplate } from './workload.ts';

const ZIPF = numberKind('an exponent from 0 to below 1', (value) => value >= 0 && value < 1);
const ACCESS = oneOf('seq', 'random');

/** Whether a client on another host asks the application: its requests stand under `load`, beside `app`. */
export function isServer(name: AppName): name is 'redis' | 'memcached' {
  return name === 'redis' || name === 'memcached';
}

function readLoad(reader: YamlReader, place: FilePlace): LoadTemplate {
  const fields = reader.fields(place, ['records', 'value', 'requestsPerSec', 'connections', 'reads', 'zipf']);
  return {
    records: reader.required(fields.records, integerKind(2, 100_000_000)),
    valueBytes: reader.required(fields.value, VALUE_SIZE),
    requestsPerSec: reader.required(fields.requestsPerSec, integerKind(1, 1_000_000)),
    connections: reader.required(fields.connections, integerKind(1, 256)),
    readRatio: reader.required(fields.reads, RATIO),
    zipf: reader.required(fields.zipf, ZIPF),
  };
}

/** `load` is that of servers. */
export function readApp(reader: YamlReader, place: FilePlace, name: AppName, load: FilePlace): AppTemplate {
  switch (name) {
    case 'redis':
    case 'memcached': {
      const fields = reader.fields(place, ['name', 'memory']);
      return { name, memory: reader.required(fields.memory, AMOUNT), load: readLoad(reader, load) };
    }
    case 'sysbench': {
      const fields = reader.fields(place, ['name', 'block', 'rate', 'access']);
      return {
        name,
        block: reader.required(fields.block, AMOUNT),
        rateBytesPerSec: reader.required(fields.rate, RATE),
        access: reader.optional(fields.access, ACCESS, 'seq'),
      };
    }
    case 'fio': {
      const fields = reader.fields(place, ['name', 'set', 'rate', 'reads']);
      return {
        name,
        set: reader.required(fields.set, AMOUNT),
        rateBytesPerSec: reader.required(fields.rate, RATE),
        readRatio: reader.required(fields.reads, RATIO),
      };
    }
    case 'stress-ng': {
      const fields = reader.fields(place, ['name', 'set', 'method']);
      return {
        name,
        set: reader.required(fields.set, AMOUNT),
        method: reader.optional(fields.method, TEXT_LINE, 'all'),
      };
    }
    case 'build-mix': {
      const fields = reader.fields(place, ['name', 'set', 'jobs']);
      return {
        name,
        set: reader.required(fields.set, AMOUNT),
        jobs: reader.required(fields.jobs, integerKind(1, 16)),
      };
    }
  }
}
