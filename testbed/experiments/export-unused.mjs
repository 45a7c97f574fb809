// SPDX-License-Identifier: Apache-2.0
// QEMU's own policy, with the pages of a patched QEMU shown and not looked at: for the experiment `passive-cost`.

export default {
  name: 'export-unused',
  capabilities: [],
  wantsPages: true,
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
