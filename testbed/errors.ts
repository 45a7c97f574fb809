// SPDX-License-Identifier: Apache-2.0
// Errors of the test bed's building, running and measuring. A message says wanted and got; the remedy what to do.

import { EXIT, SlackwaterError } from '../src/index.ts';

/** Base of the errors below; `code` is stable. */
export abstract class TestbedError extends SlackwaterError {}

/** The guest image or a native tool cannot be built. */
export class ImageError extends TestbedError {
  readonly code = 'ERR_TESTBED_IMAGE';
  override readonly exitCode = EXIT.refused;
}

/** A guest specification or a write pattern is wrong. */
export class GuestSpecError extends TestbedError {
  readonly code = 'ERR_TESTBED_GUEST_SPEC';
  override readonly exitCode = EXIT.usage;
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
