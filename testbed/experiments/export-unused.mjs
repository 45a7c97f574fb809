// SPDX-License-Identifier: Apache-2.0
// QEMU's own policy, with the pages of a patched QEMU shown and not looked at: for the experiment `passive-cost`.

import { policyByName } from 'slackwater';

export default { ...policyByName('qemu-default'), name: 'export-unused', wantsPages: true };
