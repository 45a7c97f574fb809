// SPDX-License-Identifier: Apache-2.0
export type { SoakResult } from './carry-out-case.ts';
export { carryOutCases } from './carry-out-cases.ts';
export { describeCase, type SoakCase } from './soak-case.ts';
