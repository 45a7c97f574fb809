// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with page requests on the channel of the background push, for the anatomy of a silence.
import { createAdaptivePolicy } from 'slackwater';

export default { ...createAdaptivePolicy('without-preempt'), capabilities: ['postcopy-ram'] };
