// SPDX-License-Identifier: Apache-2.0
// A workload file is wrong, or does not fit its guest.

import { EXIT, type FileProblem, problemLines, SlackwaterError } from '../../common/index.ts';

/** The message has one line for each problem: `FILE:LINE: KEY: what was wanted and what was got`. */
export class WorkloadError extends SlackwaterError {
  readonly code = 'ERR_WORKLOAD';
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly FileProblem[];

  constructor(fileName: string, problems: readonly FileProblem[], remedy?: string) {
    super(problemLines(fileName, problems), remedy === undefined ? {} : { remedy });
    this.problems = problems;
  }
}
