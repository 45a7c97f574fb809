// SPDX-License-Identifier: Apache-2.0
import { EXIT, SlackwaterError } from '../common/index.ts';
import type { Place } from './place.ts';

// ssh(1): its own failures end with it, those of the program with that program's.
const SSH_FAILED = 255;

/** What to do about a program that ended in a place with such a status (null: it never ran, or a signal ended it). */
export function remedyAt(place: Place, code: number | null): string {
  return place.kind === 'ssh' && code === SSH_FAILED
    ? `this must do without questions: ssh -o BatchMode=yes ${place.host} true`
    : 'iproute2 and nftables have to be there, and CAP_NET_ADMIN';
}

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
