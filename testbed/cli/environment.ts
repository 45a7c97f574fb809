// SPDX-License-Identifier: Apache-2.0
// What every command gets from the main program.

export interface CommandEnvironment {
  /** Aborted on Ctrl-C and SIGTERM, so that a command can take down what it made. */
  readonly signal: AbortSignal;
}
