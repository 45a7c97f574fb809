// SPDX-License-Identifier: Apache-2.0
export type * from './action.ts';
export * from './defaults.ts';
export type * from './forecast.ts';
export type * from './objective.ts';
export type * from './observation.ts';
export type * from './outcome.ts';
export * from './pages.ts';
export type * from './profile.ts';
export type * from './gang.ts';
export type * from './traffic.ts';
