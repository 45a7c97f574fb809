// SPDX-License-Identifier: Apache-2.0
// The root of every error that Slackwater throws on purpose. An error says what was wanted, what was got and what to do.
// Folders add subclasses of their own; only `exitCode` and `code` are read by the command line.

/** Exit codes of the commands. Scripts branch on them, so a change is a breaking change. */
export const EXIT = {
  completed: 0,
  bug: 1,
  usage: 2,
  refused: 3,
  sourceRunning: 4,
  postcopyPaused: 5,
  unknown: 6,
  lost: 7,
  comparedWorse: 10,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface SlackwaterErrorOptions {
  readonly cause?: unknown;
  /** What the reader can do about it; printed on a line of its own. */
  readonly remedy?: string;
}

/**
 * Base of all typed errors. `code` is stable and upper case (`ERR_QMP_TIMEOUT`), `message` says wanted and got in one
 * sentence, `remedy` what to do.
 */
export abstract class SlackwaterError extends Error {
  abstract readonly code: string;
  /** The exit code of a command that ends with this error. */
  readonly exitCode: ExitCode = EXIT.bug;
  readonly remedy: string | undefined;

  constructor(message: string, options: SlackwaterErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = new.target.name;
    this.remedy = options.remedy;
  }
}

/** The command line or a file that the user wrote is wrong. Nothing was changed. */
export class UsageError extends SlackwaterError {
  readonly code = 'ERR_USAGE';
  override readonly exitCode = EXIT.usage;
}

/** A check before the start failed. Nothing was changed; the message names the cause, the remedy what to do. */
export class RefusedError extends SlackwaterError {
  readonly code = 'ERR_REFUSED';
  override readonly exitCode = EXIT.refused;
}

/** The message of anything thrown, for a line of output. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Turns anything thrown into an Error, for APIs that want one. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
