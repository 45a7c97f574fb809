// SPDX-License-Identifier: Apache-2.0
// From how something ended to the process's exit code, and errors to lines on stderr.

import { EXIT, type ExitCode, SlackwaterError } from '../common/index.ts';
import type { Outcome } from '../model/index.ts';

/** The table that --help and the README show. */
export const EXIT_CODE_HELP = `
Exit codes:
  0    completed: the guest runs on the destination
  1    unexpected failure (a bug: please report it)
  2    usage: the command line or a file is wrong
  3    refused before anything was changed
  4    not completed, the guest runs on the source
  5    post-copy paused: recoverable, the command is printed
  6    outcome unknown: what to look at is printed
  7    lost: a QEMU died in post-copy
  130  interrupted in pre-copy, the guest runs on the source`;

export function exitCodeOf(outcome: Outcome): ExitCode {
  switch (outcome.kind) {
    case 'completed':
      return EXIT.completed;
    case 'source-running':
      return outcome.interrupted ? EXIT.interrupted : EXIT.sourceRunning;
    case 'postcopy-paused':
      return EXIT.postcopyPaused;
    case 'unknown':
      return EXIT.unknown;
    case 'lost':
      return EXIT.lost;
  }
}

/** Tells an error: expected ones by message and remedy, a bug with its stack. Returns the exit code. */
export function reportError(error: unknown): ExitCode {
  if (error instanceof SlackwaterError) {
    process.stderr.write(`slackwater: ${error.message}\n`);
    if (error.remedy !== undefined) process.stderr.write(`  -> ${error.remedy}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`slackwater: unexpected failure; please report it with what follows\n${text}\n`);
  return EXIT.bug;
}
