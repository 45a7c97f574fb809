// SPDX-License-Identifier: Apache-2.0
import { EXIT, SlackwaterError } from '../common/index.ts';

/** The kernel or iproute2 did not take what was asked; the message has their words. */
export class TcError extends SlackwaterError {
  readonly code = 'ERR_TC';
  override readonly exitCode = EXIT.refused;
}

/** There is no such NIC (any more). */
export class TcNoNicError extends TcError {}

/** This kernel has not what is needed (a kind of queueing discipline, a filter): whoever asks can do without and say so. */
export class TcUnsupportedError extends SlackwaterError {
  readonly code = 'ERR_TC_UNSUPPORTED';
  override readonly exitCode = EXIT.refused;
}

/** Somebody else shapes that NIC, and there is no room beside them. Nothing was changed. */
export class TcTakenError extends SlackwaterError {
  readonly code = 'ERR_TC_TAKEN';
  override readonly exitCode = EXIT.refused;
}
