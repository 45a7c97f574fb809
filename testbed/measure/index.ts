// SPDX-License-Identifier: Apache-2.0
export type { KvloadOptions, KvloadSettings, RunningKvload } from './kvload.ts';
export { startKvload } from './kvload.ts';
export * from './kvload-rows.ts';
export * from './nicwatch.ts';
export * from './nonzero-pages.ts';
export type { ProberOptions, RunningProber } from './prober.ts';
export { startProber } from './prober.ts';
export * from './prober-report.ts';
export * from './probes-file.ts';
export * from './udpload.ts';
