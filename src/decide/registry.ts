// SPDX-License-Identifier: Apache-2.0
// The policies that a name on the command line stands for.

import type { Policy } from '../model/index.ts';
import { createAdaptivePolicy } from './adaptive.ts';
import { postcopyImmediate } from './postcopy-immediate.ts';
import { qemuDefault } from './qemu-default.ts';

const POLICIES: readonly Policy[] = [
  createAdaptivePolicy(),
  qemuDefault,
  postcopyImmediate,
] as readonly Policy[];

export function policyNames(): string[] {
  return POLICIES.map((policy) => policy.name);
}

/** The policy of that name, or undefined. */
export function policyByName(name: string): Policy | undefined {
  return POLICIES.find((policy) => policy.name === name);
}
