// SPDX-License-Identifier: Apache-2.0
export { GdbStub } from './gdb-stub.ts';
export * from './guest-app.ts';
export type { RequestOptions } from './guest-control.ts';
export { GuestControl } from './guest-control.ts';
export * from './guest-spec.ts';
export * from './pattern.ts';
export { parsePattern } from './pattern-parse.ts';
export type { AppStatus, BadBlock, BadPage, CoherenceReport, GuestStatus, PageLocation } from './reports.ts';
