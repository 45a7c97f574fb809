// SPDX-License-Identifier: Apache-2.0
// The adaptive policy with this entry into post-copy, for the anatomy of a silence.
import { createAdaptivePolicy } from 'slackwater';

export default createAdaptivePolicy('pack-40ms', { packMs: 40 });
