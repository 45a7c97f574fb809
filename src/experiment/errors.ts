// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file of an experiment: the one that the user wrote, or the runs recorded so far.

import { EXIT, SlackwaterError } from '../common/index.ts';

export interface FileProblem {
  readonly line: number;
  /** Where in the file's structure, such as `policies[3].objective.postcopy`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

function inOrder(problems: readonly FileProblem[]): FileProblem[] {
  return [...problems].sort((a, b) => a.line - b.line);
}

/** One line for each problem, in the order of the file. */
export function problemLines(fileName: string, problems: readonly FileProblem[]): string {
  return inOrder(problems)
    .map(({ line, path, message }) =>
      [`${fileName}:${line}`, ...(path === '' ? [] : [path]), message].join(': '),
    )
    .join('\n');
}

/** Nothing was run. The message has one line for each problem: `FILE:LINE: KEY: what was wanted and what was got`. */
export class ExperimentError extends SlackwaterError {
  readonly code = 'ERR_EXPERIMENT';
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly FileProblem[];

  constructor(fileName: string, problems: readonly FileProblem[]) {
    super(problemLines(fileName, problems));
    this.problems = inOrder(problems);
  }
}
