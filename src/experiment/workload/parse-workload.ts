// SPDX-License-Identifier: Apache-2.0
// The workload file that people write, in YAML, into a Workload; every problem in it is reported, with its line.

import { TEXT_LINE, YamlReader } from '../../common/index.ts';
import { AMOUNT, oneOf, readDeciding } from './kinds.ts';
import { isServer, readApp } from './read-app.ts';
import { readPattern } from './read-pattern.ts';
import { APP_NAMES, WORKLOAD_SCHEMA, type Workload } from './workload.ts';
import { WorkloadError } from './workload-error.ts';

const KEYS = ['schema', 'name', 'title', 'pattern'] as const;

/** A workload is called as its file is. */
function workloadNameOf(fileName: string): string {
  return fileName.replace(/^.*\//, '').replace(/\.yaml$/, '');
}

/** Null where a key on which all others depend is not right, which is noted. */
function readRoot(reader: YamlReader, ownName: string): Workload | null {
  const { root } = reader;
  if (readDeciding(reader, root, 'schema', oneOf(WORKLOAD_SCHEMA)) === null) return null;
  const app = reader.field(root, 'app');
  const appName = app.node === null ? undefined : readDeciding(reader, app, 'name', oneOf(...APP_NAMES));
  if (appName === null) return null;
  const appKeys = appName === undefined ? [] : ['app', 'arena', ...(isServer(appName) ? ['load'] : [])];
  reader.fields(root, [...KEYS, ...appKeys]);
  const workload: Workload = {
    name: reader.required(reader.field(root, 'name'), {
      wanted: `the file's own name "${ownName}"`,
      parse: (text) => (text === ownName ? text : undefined),
      standIn: ownName,
    }),
    title: reader.required(reader.field(root, 'title'), TEXT_LINE),
    pattern: readPattern(reader, reader.field(root, 'pattern')),
  };
  if (appName === undefined) return workload;
  return {
    ...workload,
    app: readApp(reader, app, appName, reader.field(root, 'load')),
    arena: reader.required(reader.field(root, 'arena'), AMOUNT),
  };
}

/**
 * Reads a workload's text; `fileName` is what messages call it.
 * @throws WorkloadError that lists all problems, one a line: `steady.yaml:6: pattern.rate: expected a rate such as ...`
 */
export function parseWorkload(text: string, fileName: string): Workload {
  const reader = new YamlReader(text);
  const workload = readRoot(reader, workloadNameOf(fileName));
  if (workload === null || reader.problems.length > 0) throw new WorkloadError(fileName, reader.problems);
  return workload;
}
