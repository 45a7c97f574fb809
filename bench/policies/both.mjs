// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with this entry into post-copy, for the ablation.
import { createAdaptivePolicy } from 'slackwater';

export default createAdaptivePolicy('both', {
  shortQueue: false,
  drainOverMs: 0,
  quietStart: true,
  quietTmtRatio: Infinity,
  quietMinMs: 0,
});
