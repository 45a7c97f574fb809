// SPDX-License-Identifier: Apache-2.0
// A workload file is wrong, or does not fit its guest.

import { EXIT } from '../../src/index.ts';
import { TestbedError } from '../errors.ts';

export interface WorkloadProblem {
  readonly line: number;
  /** Where in the file, such as `pattern.phases[1].for`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
}

/** The message has one line for each problem: `FILE:LINE: KEY: what was wanted and what was got`. */
export class WorkloadError extends TestbedError {
  readonly code = 'ERR_TESTBED_WORKLOAD';
  override readonly exitCode = EXIT.usage;
  readonly problems: readonly WorkloadProblem[];

  constructor(fileName: string, problems: readonly WorkloadProblem[], remedy?: string) {
    const lines = [...problems]
      .sort((a, b) => a.line - b.line)
      .map(({ line, key, message }) =>
        [`${fileName}:${line}`, ...(key === '' ? [] : [key]), message].join(': '),
      );
    super(lines.join('\n'), remedy === undefined ? {} : { remedy });
    this.problems = problems;
  }
}
