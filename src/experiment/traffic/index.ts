// SPDX-License-Identifier: Apache-2.0
export { parseTraffic } from './parse.ts';
export * from './record.ts';
export * from './scenario.ts';
