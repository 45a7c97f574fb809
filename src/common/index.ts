// SPDX-License-Identifier: Apache-2.0
export * from './clock.ts';
export * from './errors.ts';
export * from './units.ts';
export { packageVersion } from './version.ts';
