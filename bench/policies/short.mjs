// SPDX-License-Identifier: Apache-2.0
// The adaptive policy as it is, for the ablation: a short send queue, and a quiet start where that is not enough.
import { createAdaptivePolicy } from 'slackwater';

export default createAdaptivePolicy('short');
