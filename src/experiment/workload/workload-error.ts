// SPDX-License-Identifier: Apache-2.0
// A workload file is wrong, or does not fit its guest.

import { FileError } from '../../common/index.ts';

export class WorkloadError extends FileError {
  readonly code = 'ERR_WORKLOAD';
}
