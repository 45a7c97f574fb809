// SPDX-License-Identifier: Apache-2.0
// The `app` of a workload file, and the `load` that its client makes.

import { APP_NAMES } from '../guest/index.ts';
import type { Fields } from './fields.ts';
import type { AppTemplate, LoadTemplate } from './workload.ts';

/** `root` is the file's outermost mapping: `load` stands beside `app`. */
function readLoad(root: Fields): LoadTemplate {
  const fields = root.fields('load');
  const load = {
    records: fields.whole('records', 2, 100_000_000),
    valueBytes: fields.sizeBytes('value'),
    requestsPerSec: fields.whole('requestsPerSec', 1, 1_000_000),
    connections: fields.whole('connections', 1, 256),
    readRatio: fields.ratio('reads'),
    zipf: fields.number('zipf', 'an exponent from 0 to below 1', (value) => value >= 0 && value < 1),
  };
  if (!Number.isInteger(load.valueBytes) || load.valueBytes < 8 || load.valueBytes > 65_536) {
    fields.wrong('value', `wanted a size from 8B to 64KiB, got ${load.valueBytes} bytes`);
  }
  fields.end();
  return load;
}

function readNamed(root: Fields, fields: Fields): AppTemplate {
  const name = fields.kind('name', APP_NAMES);
  switch (name) {
    case 'redis':
    case 'memcached':
      return { name, memory: fields.amount('memory'), load: readLoad(root) };
    case 'sysbench':
      return {
        name,
        block: fields.amount('block'),
        rateBytesPerSec: fields.rateBytesPerSec('rate'),
        access: fields.has('access') ? fields.choice('access', ['seq', 'random']) : 'seq',
      };
    case 'fio':
      return {
        name,
        set: fields.amount('set'),
        rateBytesPerSec: fields.rateBytesPerSec('rate'),
        readRatio: fields.ratio('reads'),
      };
    case 'stress-ng':
      return {
        name,
        set: fields.amount('set'),
        method: fields.has('method') ? fields.text('method') : 'all',
      };
    case 'build-mix':
      return { name, set: fields.amount('set'), jobs: fields.whole('jobs', 1, 16) };
  }
}

export function readApp(root: Fields): AppTemplate {
  const fields = root.fields('app');
  const app = readNamed(root, fields);
  fields.end();
  return app;
}
