// SPDX-License-Identifier: Apache-2.0
// The baseline: QEMU left alone. Sets nothing, decides nothing; what QEMU's own threshold (bandwidth of the last 100 ms
// x downtime-limit) does is what happens. With --max-downtime as its downtime-limit, as an operator would set it.

import type { Policy } from '../model/index.ts';

export const qemuDefault: Policy<null> = {
  name: 'qemu-default',
  capabilities: [],
  init: ({ objective }) => ({
    state: null,
    actions: [
      {
        kind: 'set-parameters',
        change: { downtimeLimitMs: Math.round(objective.maxDowntimeMs) },
        reason: { text: 'the maximum downtime as QEMU understands it', numbers: {} },
      },
    ],
    wakeAtMs: null,
  }),
  step: () => ({ state: null, actions: [], wakeAtMs: null }),
};
