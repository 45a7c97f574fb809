// SPDX-License-Identifier: Apache-2.0
// Errors of the test bed's building, running and measuring. A message says wanted and got; the remedy what to do.

export interface TestbedErrorOptions {
  readonly cause?: unknown;
  readonly remedy?: string;
}

/** Base of the errors below; `code` is stable. */
export abstract class TestbedError extends Error {
  abstract readonly code: string;
  readonly remedy: string | undefined;

  constructor(message: string, options: TestbedErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = new.target.name;
    this.remedy = options.remedy;
  }
}

/** A program is missing, failed or took too long. */
export class ProgramError extends TestbedError {
  readonly code = 'ERR_TESTBED_PROGRAM';
}

/** The guest image or a native tool cannot be built. */
export class ImageError extends TestbedError {
  readonly code = 'ERR_TESTBED_IMAGE';
}

/** A guest specification or a write pattern is wrong. */
export class GuestSpecError extends TestbedError {
  readonly code = 'ERR_TESTBED_GUEST_SPEC';
}

/** The guest did not answer in time, or answered that it cannot do what was asked. */
export class GuestControlError extends TestbedError {
  readonly code = 'ERR_TESTBED_GUEST_CONTROL';
}

/** QEMU's gdbstub refused or broke off. */
export class GdbStubError extends TestbedError {
  readonly code = 'ERR_TESTBED_GDB';
}

/** A measuring program gave no usable result. */
export class MeasureError extends TestbedError {
  readonly code = 'ERR_TESTBED_MEASURE';
}
