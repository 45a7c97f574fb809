// SPDX-License-Identifier: Apache-2.0
// Workload files: testbed/workloads/NAME.yaml.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TEXT_LINE, YamlReader } from '../../src/experiment/index.ts';
import { messageOf, packageRoot } from '../../src/index.ts';
import { APP_NAMES } from '../guest/index.ts';
import { AMOUNT, oneOf, readDeciding } from './kinds.ts';
import { isServer, readApp } from './read-app.ts';
import { readPattern } from './read-pattern.ts';
import { WORKLOAD_SCHEMA, type Workload } from './workload.ts';
import { WorkloadError } from './workload-error.ts';

const EXTENSION = '.yaml';

/** The folder of the workloads that come with the testbed. */
export function workloadsFolder(): string {
  return join(packageRoot(), 'testbed', 'workloads');
}

const KEYS = ['schema', 'name', 'title', 'pattern'] as const;

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
  const workload = readRoot(reader, basename(fileName, EXTENSION));
  if (workload === null || reader.problems.length > 0) throw new WorkloadError(fileName, reader.problems);
  return workload;
}

/** The names of the workloads that there are. */
export function workloadNames(folder = workloadsFolder()): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(EXTENSION))
    .map((file) => basename(file, EXTENSION))
    .sort();
}

/** A workload by its name. @throws WorkloadError */
export function readWorkload(name: string, folder = workloadsFolder()): Workload {
  const path = join(folder, `${name}${EXTENSION}`);
  if (!workloadNames(folder).includes(name)) {
    const problem = { line: 1, path: '', message: `there is no workload "${name}"` };
    throw new WorkloadError(path, [problem], `workloads: ${workloadNames(folder).join(', ')}`);
  }
  return readWorkloadFile(path);
}

/** A workload by its file. @throws WorkloadError */
export function readWorkloadFile(path: string): Workload {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const problem = { line: 1, path: '', message: `cannot be read: ${messageOf(error)}` };
    throw new WorkloadError(path, [problem]);
  }
  return parseWorkload(text, path);
}
