// SPDX-License-Identifier: Apache-2.0
export { carryOutCase, type SoakOptions, type SoakResult } from './carry-out-case.ts';
export { withHugePages } from './huge-pages.ts';
export { describeCase, soakCase, type SoakCase } from './soak-case.ts';
