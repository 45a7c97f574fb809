// SPDX-License-Identifier: Apache-2.0
export { readWorkload, readWorkloadFile, workloadNames, workloadsFolder } from './read-workload.ts';
export { resolveWorkload, type ResolvedWorkload } from './resolve-workload.ts';
