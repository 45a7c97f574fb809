// SPDX-License-Identifier: Apache-2.0
// What goes wrong with a host that is reached over ssh. Each message names the host.

import { EXIT, type ExitCode } from '../../src/index.ts';
import { TestbedError } from '../errors.ts';

/** A program on a host failed. */
export class RemoteCommandError extends TestbedError {
  readonly code = 'ERR_TESTBED_REMOTE_COMMAND';
  /** Null: it was ended by us. */
  readonly processExitCode: number | null;
  readonly stderrTail: string;

  constructor(
    host: string,
    what: string,
    options: {
      readonly processExitCode?: number | null;
      readonly stderrTail?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(`host ${host}: ${what}`, { cause: options.cause });
    this.processExitCode = options.processExitCode ?? null;
    this.stderrTail = options.stderrTail ?? '';
  }
}

/**
 * A host cannot be used: it cannot be reached, is in use, or keeps something that cannot be undone. No run of an experiment
 * can be carried out before that is mended.
 */
export class HostUnusableError extends TestbedError {
  readonly code: string = 'ERR_TESTBED_HOST_UNUSABLE';
  override readonly exitCode: ExitCode = EXIT.refused;

  constructor(
    host: string,
    what: string,
    options: { readonly cause?: unknown; readonly remedy?: string } = {},
  ) {
    super(`host ${host}: ${what}`, options);
  }
}

/** A host was lost while it was used. What was made there is undone there, without us. */
export class HostLostError extends HostUnusableError {
  override readonly code = 'ERR_TESTBED_HOST_LOST';
  // Not completed, as a migration that ends on its source.
  override readonly exitCode = EXIT.sourceRunning;

  constructor(host: string, what: string, cause?: unknown) {
    super(host, what, {
      cause,
      remedy:
        'what was made there is undone there within 30 s; when it can be reached again, go on with --resume',
    });
  }
}
