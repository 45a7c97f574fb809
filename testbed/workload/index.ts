// SPDX-License-Identifier: Apache-2.0
export {
  parseWorkload,
  readWorkload,
  readWorkloadFile,
  workloadNames,
  workloadsFolder,
} from './read-workload.ts';
export { resolveWorkload, type ResolvedWorkload } from './resolve-workload.ts';
export { WORKLOAD_SCHEMA, type Workload } from './workload.ts';
export { WorkloadError } from './workload-error.ts';
