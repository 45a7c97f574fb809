// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file of an experiment: the one that the user wrote, or the runs recorded so far.

import { EXIT, type FileProblem, inFileOrder, problemLines, SlackwaterError } from '../common/index.ts';

/** Nothing was run. The message has one line for each problem: `FILE:LINE: KEY: what was wanted and what was got`. */
export class ExperimentError extends SlackwaterError {
  readonly code = 'ERR_EXPERIMENT';
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly FileProblem[];

  constructor(fileName: string, problems: readonly FileProblem[]) {
    super(problemLines(fileName, problems));
    this.problems = inFileOrder(problems);
  }
}
