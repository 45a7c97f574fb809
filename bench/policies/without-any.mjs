// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with the plainest entry into post-copy, for the anatomy of a silence.
import { createAdaptivePolicy } from 'slackwater';

export default {
  ...createAdaptivePolicy('without-any', { paced: false, quietStart: false, hotFirst: false }),
  capabilities: ['postcopy-ram'],
};
