// SPDX-License-Identifier: Apache-2.0
// Workload files: testbed/workloads/NAME.yaml.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { packageRoot } from '../../src/index.ts';
import { FieldsFile } from './fields.ts';
import { readApp } from './read-app.ts';
import { readPattern } from './read-pattern.ts';
import { WORKLOAD_SCHEMA, type Workload } from './workload.ts';
import { WorkloadError } from './workload-error.ts';

const EXTENSION = '.yaml';

/** The folder of the workloads that come with the testbed. */
export function workloadsFolder(): string {
  return join(packageRoot(), 'testbed', 'workloads');
}

/**
 * Reads a workload's text; `fileName` is what messages call it.
 * @throws WorkloadError that lists all problems, one a line: `steady.yaml:6: pattern.rate: wanted a rate such as ...`
 */
export function parseWorkload(text: string, fileName: string): Workload {
  const file = new FieldsFile(text);
  const { root } = file;
  // Of a text that is no YAML, what its tree says is guesswork.
  if (file.problems.length > 0) throw new WorkloadError(fileName, file.problems);
  root.kind('schema', [WORKLOAD_SCHEMA]);
  const head = { name: root.text('name'), title: root.text('title') };
  if (head.name !== basename(fileName, EXTENSION)) {
    root.wrong('name', `wanted the file's own name "${basename(fileName, EXTENSION)}", got "${head.name}"`);
  }
  const workload: Workload = root.has('app')
    ? {
        ...head,
        app: readApp(root),
        arena: root.amount('arena'),
        pattern: readPattern(root.fields('pattern')),
      }
    : { ...head, pattern: readPattern(root.fields('pattern')) };
  root.end();
  if (file.problems.length > 0) throw new WorkloadError(fileName, file.problems);
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
    const problem = { line: 1, key: '', message: `there is no workload "${name}"` };
    throw new WorkloadError(path, [problem], `workloads: ${workloadNames(folder).join(', ')}`);
  }
  return parseWorkload(readFileSync(path, 'utf8'), path);
}
