// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file of an experiment: the one that the user wrote, or the runs recorded so far.

import { FileError } from '../common/index.ts';

/** Nothing was run. */
export class ExperimentError extends FileError {
  readonly code = 'ERR_EXPERIMENT';
}
