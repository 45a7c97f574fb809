// SPDX-License-Identifier: Apache-2.0
// What is wrong with a file that somebody wrote.

import { EXIT, SlackwaterError } from '../errors.ts';

export interface FileProblem {
  readonly line: number;
  /** Where in the file's structure, such as `policies[3].objective.postcopy`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

function inFileOrder(problems: readonly FileProblem[]): FileProblem[] {
  return [...problems].sort((a, b) => a.line - b.line);
}

/** One line for each problem, in the order of the file. */
export function problemLines(fileName: string, problems: readonly FileProblem[]): string {
  return inFileOrder(problems)
    .map(({ line, path, message }) =>
      [`${fileName}:${line}`, ...(path === '' ? [] : [path]), message].join(': '),
    )
    .join('\n');
}

/** A file that somebody wrote is wrong: a line for each problem, `FILE:LINE: KEY: what was wanted and what was got`. */
export abstract class FileError extends SlackwaterError {
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly FileProblem[];

  constructor(fileName: string, problems: readonly FileProblem[], remedy?: string) {
    super(problemLines(fileName, problems), remedy === undefined ? {} : { remedy });
    this.problems = inFileOrder(problems);
  }
}
