// SPDX-License-Identifier: Apache-2.0
// Finds the policy that --policy names: one of ours, or a module of the user's whose default export is a policy.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, UsageError } from '../common/index.ts';
import { policyByName, policyNames } from '../decide/index.ts';
import type { Policy } from '../model/index.ts';

function isPolicy(value: unknown): value is Policy {
  if (typeof value !== 'object' || value === null) return false;
  const { name, init, step } = value as Record<string, unknown>;
  return typeof name === 'string' && typeof init === 'function' && typeof step === 'function';
}

/** @throws UsageError when there is no such policy, or the module's default export is not one */
export async function loadPolicy(nameOrFile: string): Promise<Policy> {
  const known = policyByName(nameOrFile);
  if (known !== undefined) return known;
  if (!/\.[cm]?[jt]s$/.test(nameOrFile)) {
    throw new UsageError(`there is no policy "${nameOrFile}"`, {
      remedy: `policies: ${policyNames().join(', ')}, or a file such as ./mine.mjs`,
    });
  }
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(resolve(nameOrFile)).href)) as { default?: unknown };
  } catch (error) {
    throw new UsageError(`cannot load the policy ${nameOrFile}: ${messageOf(error)}`, { cause: error });
  }
  if (!isPolicy(module.default)) {
    throw new UsageError(`${nameOrFile} does not export a policy by default`, {
      remedy: 'export default { name, init(context), step(state, input) }; see ARCHITECTURE.md',
    });
  }
  return module.default;
}
