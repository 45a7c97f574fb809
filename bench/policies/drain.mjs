// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with this entry into post-copy, for the ablation.
import { createAdaptivePolicy } from 'slackwater';

export default createAdaptivePolicy('drain', { shortQueue: false, drainOverMs: 0, quietStart: false });
