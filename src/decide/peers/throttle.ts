// SPDX-License-Identifier: Apache-2.0
// Those that only let QEMU throttle the guest. Everything is set before the migration, nothing is decided afterwards.
// - auto-converge: QEMU's own numbers, so 20, 30, ... 90, 99 % of vCPU time, one step for each round that does not converge.
// - incus (be7afc5 of 2026, read in source): throttles early and hard, 300 ms of downtime, no time-outs.

import type { Action, ParameterChange, PolicyContext } from '../../model/index.ts';
import { QEMU_DOWNTIME_LIMIT_MS, setDowntime, setOperatorsDowntime, setParameters } from './actions.ts';
import { type Peer, peer } from './fold.ts';

type Throttle = Pick<
  Required<ParameterChange>,
  'throttleTriggerPercent' | 'throttleInitialPercent' | 'throttleIncrementPercent' | 'throttleMaxPercent'
>;

const QEMU_THROTTLE: Throttle = {
  throttleTriggerPercent: 50,
  throttleInitialPercent: 20,
  throttleIncrementPercent: 10,
  throttleMaxPercent: 99,
};

const INCUS_THROTTLE: Throttle = { ...QEMU_THROTTLE, throttleTriggerPercent: 20, throttleInitialPercent: 50 };

/** Only what this QEMU has: the trigger, for one, came later than the rest. */
function setThrottle({ parameters }: PolicyContext, throttle: Throttle): Action[] {
  const known = Object.entries(throttle).filter(
    ([name]) => typeof parameters[name as keyof Throttle] === 'number',
  );
  if (known.length === 0) return [];
  const change = Object.fromEntries(known) as ParameterChange;
  const { throttleTriggerPercent, throttleInitialPercent, throttleIncrementPercent } = throttle;
  const text =
    `throttling the guest by ${throttleInitialPercent} %, then by ${throttleIncrementPercent} % more, ` +
    `where it dirties ${throttleTriggerPercent} % of what is sent`;
  return [setParameters(change, text, { ...throttle })];
}

export const throttlePeers: readonly Peer[] = [
  peer('auto-converge', false, {
    capabilities: ['auto-converge'],
    begin: (context) => ({
      memory: null,
      actions: [setOperatorsDowntime(context), ...setThrottle(context, QEMU_THROTTLE)],
    }),
  }),
  peer('incus', false, {
    capabilities: ['auto-converge'],
    begin: (context) => ({
      memory: null,
      actions: [
        setDowntime(QEMU_DOWNTIME_LIMIT_MS, "QEMU's default, which Incus leaves"),
        ...setThrottle(context, INCUS_THROTTLE),
      ],
    }),
  }),
];
