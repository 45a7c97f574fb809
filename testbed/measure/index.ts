// SPDX-License-Identifier: Apache-2.0
export * from './nonzero-pages.ts';
export type { ProberOptions, RunningProber } from './prober.ts';
export { startProber } from './prober.ts';
export * from './prober-report.ts';
export * from './probes-file.ts';
