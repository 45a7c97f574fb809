// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file of an experiment: the one that the user wrote, or the runs recorded so far.

import { EXIT, SlackwaterError } from '../common/index.ts';

export interface FileProblem {
  readonly line: number;
  /** Where in the file's structure, such as `policies[3].objective.postcopy`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Nothing was run. The message has one line for each problem: `FILE:LINE: KEY: what was wanted and what was got`. */
export class ExperimentError extends SlackwaterError {
  readonly code = 'ERR_EXPERIMENT';
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly FileProblem[];

  constructor(fileName: string, problems: readonly FileProblem[]) {
    const sorted = [...problems].sort((a, b) => a.line - b.line);
    super(
      sorted
        .map(({ line, path, message }) =>
          [`${fileName}:${line}`, ...(path === '' ? [] : [path]), message].join(': '),
        )
        .join('\n'),
    );
    this.problems = sorted;
  }
}
