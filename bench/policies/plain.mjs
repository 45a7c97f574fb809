// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with this entry into post-copy, for the ablation.
import { createAdaptivePolicy } from 'slackwater';

export default createAdaptivePolicy('plain', { shortQueue: false, drainOverMs: Infinity, quietStart: false });
