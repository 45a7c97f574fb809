// SPDX-License-Identifier: Apache-2.0
// The policies that a name on the command line stands for: ours, the peers, also with their times scaled (NAME@xFACTOR), and
// the fixed settings that an experiment's oracle searches.

import type { Policy } from '../model/index.ts';
import { createAdaptivePolicy } from './adaptive.ts';
import { fixedSettingByName, fixedSettingNames } from './fixed-settings.ts';
import { peerIds, peerPolicy } from './peers/index.ts';
import { postcopyImmediate } from './postcopy-immediate.ts';
import { qemuDefault } from './qemu-default.ts';

const POLICIES: readonly Policy[] = [
  createAdaptivePolicy(),
  qemuDefault,
  postcopyImmediate,
] as readonly Policy[];

const SCALED = /^(?<id>.+)@x(?<factor>\d+(?:\.\d+)?(?:e[-+]?\d+)?)$/;

/** Ours first, then the peers, then the fixed settings. */
export function policyNames(): string[] {
  return [...POLICIES.map((policy) => policy.name), ...peerIds(), ...fixedSettingNames()];
}

/** The policy of that name, or undefined. */
export function policyByName(name: string): Policy | undefined {
  const own = POLICIES.find((policy) => policy.name === name);
  if (own !== undefined) return own;
  const { id, factor } = SCALED.exec(name)?.groups ?? {};
  if (id !== undefined) return peerPolicy(id, Number(factor));
  return peerPolicy(name) ?? fixedSettingByName(name);
}
