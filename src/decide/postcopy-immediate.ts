// SPDX-License-Identifier: Apache-2.0
// The other baseline: post-copy as soon as the migration is active, as `virsh migrate --postcopy-after-precopy` users
// do at its extreme. Every page that was not yet sent is fetched over the network.

import type { Policy } from '../model/index.ts';

interface State {
  readonly started: boolean;
}

export const postcopyImmediate: Policy<State> = {
  name: 'postcopy-immediate',
  init: () => ({ state: { started: false }, actions: [], wakeAtMs: null }),
  step: (state, input) => {
    if (state.started || input.kind !== 'observation' || input.observation.status !== 'active') {
      return { state, actions: [], wakeAtMs: null };
    }
    return {
      state: { started: true },
      actions: [{ kind: 'start-postcopy', reason: { text: 'post-copy at once', numbers: {} } }],
      wakeAtMs: null,
    };
  },
};
