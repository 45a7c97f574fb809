// SPDX-License-Identifier: Apache-2.0
// Workload files: testbed/workloads/NAME.yaml.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseWorkload, type Workload, WorkloadError } from '../../src/experiment/index.ts';
import { messageOf, packageRoot } from '../../src/index.ts';

const EXTENSION = '.yaml';

/** The folder of the workloads that come with the testbed. */
export function workloadsFolder(): string {
  return join(packageRoot(), 'testbed', 'workloads');
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
