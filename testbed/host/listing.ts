// SPDX-License-Identifier: Apache-2.0
// Which testbeds stand on this machine, and in which state.

import { isAbandoned, listEntries, readFacts, readOwner } from './run-dir.ts';
import type { RunEntry } from './run-dir.ts';

export interface TestbedSummary {
  readonly name: string;
  /**
   * `kept`: made by `up`, stays until `down`. `in-use`: its creator runs. `creating`, `removing`: somebody is at it.
   * `abandoned`: its creator, or who was removing it, is dead; `reap` removes it.
   */
  readonly state: 'kept' | 'in-use' | 'creating' | 'removing' | 'abandoned';
  readonly link?: string;
  readonly creatorPid?: number;
}

/** All testbeds, by name. */
export async function listTestbeds(): Promise<TestbedSummary[]> {
  const entries = (await listEntries()).sort((a, b) => a.name.localeCompare(b.name));
  return await Promise.all(entries.map(summarize));
}

async function summarize(entry: RunEntry): Promise<TestbedSummary> {
  const [facts, owner, abandoned] = await Promise.all([
    readFacts(entry.directory),
    readOwner(entry.directory),
    isAbandoned(entry),
  ]);
  const state = (): TestbedSummary['state'] => {
    if (abandoned) return 'abandoned';
    if (entry.kind === 'removing') return 'removing';
    if (owner?.kept === true) return 'kept';
    return facts === undefined ? 'creating' : 'in-use';
  };
  return {
    name: entry.name,
    state: state(),
    ...(facts === undefined ? {} : { link: facts.link.name }),
    ...(owner === undefined ? {} : { creatorPid: owner.pid }),
  };
}
