// SPDX-License-Identifier: Apache-2.0
// The policies that a name on the command line stands for: ours, and the peers, also with their times scaled (NAME@xFACTOR).

import type { Policy } from '../model/index.ts';
import { createAdaptivePolicy } from './adaptive.ts';
import { peerIds, peerPolicy } from './peers/index.ts';
import { postcopyImmediate } from './postcopy-immediate.ts';
import { qemuDefault } from './qemu-default.ts';

const POLICIES: readonly Policy[] = [
  createAdaptivePolicy(),
  qemuDefault,
  postcopyImmediate,
] as readonly Policy[];

const SCALED = /^(?<id>.+)@x(?<factor>\d+(?:\.\d+)?(?:e[-+]?\d+)?)$/;

/** Ours first, then the peers. */
export function policyNames(): string[] {
  return [...POLICIES.map((policy) => policy.name), ...peerIds()];
}

/** The policy of that name, or undefined. */
export function policyByName(name: string): Policy | undefined {
  const own = POLICIES.find((policy) => policy.name === name);
  if (own !== undefined) return own;
  const { id, factor } = SCALED.exec(name)?.groups ?? {};
  return id === undefined ? peerPolicy(name) : peerPolicy(id, Number(factor));
}
