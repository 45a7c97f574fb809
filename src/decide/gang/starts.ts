// SPDX-License-Identifier: Apache-2.0
// Who starts now: the plan, carried out step by step as VMs begin, near their end and are done.

import type { GangPlan } from '../../model/index.ts';

/**
 * `stopping`: its guest stands still, and what is sent is what it waits for: nobody else begins. `ending`: it runs on the
 * destination, in post-copy, and the link is about to be free. `over`: migrated, its controller puts things back. `ended`: its
 * outcome is known.
 */
export type VmPhase = 'waiting' | 'running' | 'stopping' | 'ending' | 'over' | 'ended';

/** The names of those that start now, in order. */
export function startsNow(plan: GangPlan, phaseOf: (name: string) => VmPhase): string[] {
  const starts: string[] = [];
  const isOver = (name: string): boolean => {
    const phase = phaseOf(name);
    return phase === 'ended' || phase === 'over' || (phase === 'ending' && plan.sharing === 'in-order');
  };
  for (const [i, vm] of plan.vms.entries()) {
    const before = plan.vms.slice(0, i);
    // One that goes together with others waits for the groups before its own, and for those of its group that go alone.
    const waitsFor = before.filter((other) => other.group < vm.group || !vm.together || !other.together);
    if (!waitsFor.every(({ name }) => isOver(name) && !starts.includes(name))) continue;
    if (phaseOf(vm.name) === 'waiting') starts.push(vm.name);
  }
  return starts;
}
