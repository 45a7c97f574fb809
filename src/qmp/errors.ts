// SPDX-License-Identifier: Apache-2.0
// Every error that a QMP connection can end in. Nothing else in this folder defines one.
//
// SlackwaterError
//  +- QmpError                       catch this one to mean "the monitor, whatever it was"
//      +- QmpConnectError            no byte stream to the monitor: missing, refused, permission, busy, timeout, ...
//      +- QmpGreetingTimeoutError    a byte stream, but not one byte on it: another client holds the monitor
//      +- QmpProtocolError           bytes that are not QMP; carries their tail
//      +- QmpNegotiationError        greeted, but capabilities were refused or the peer left meanwhile
//      +- QmpCommandError            QEMU refused or failed a command; nothing is wrong with the connection
//      +- QmpTimeoutError            no reply before the deadline; the command may still be carried out
//      +- QmpDisconnectedError       the connection ended with this command or event stream open
//      +- QmpStateError              the client was used before, after or outside what it had negotiated
//
// Not in the tree: the reason of an aborted AbortSignal passes through untouched, and so does UsageError of an address.

import { EXIT, SlackwaterError } from '../common/index.ts';
import type { ExitCode, SlackwaterErrorOptions } from '../common/index.ts';

/** How much of a peer's raw text an error keeps, in UTF-16 units. */
export const RAW_TAIL_LENGTH = 200;

/** Base of all errors of a QMP connection. */
export abstract class QmpError extends SlackwaterError {}

/** Why no byte stream came about. `closed`: it did, and the peer ended it before it had said anything. */
export type QmpConnectFailure =
  'missing' | 'refused' | 'permission' | 'busy' | 'timeout' | 'closed' | 'ssh' | 'other';

/** There is no byte stream to the monitor. Nothing was sent, and everything opened on the way was closed again. */
export class QmpConnectError extends QmpError {
  readonly code = 'ERR_QMP_CONNECT';
  override readonly exitCode: ExitCode = EXIT.refused;
  readonly reason: QmpConnectFailure;
  readonly address: string;

  constructor(
    reason: QmpConnectFailure,
    address: string,
    message: string,
    options: SlackwaterErrorOptions = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.address = address;
  }
}

/** The monitor accepted the connection and said nothing. Nothing was sent. */
export class QmpGreetingTimeoutError extends QmpError {
  readonly code = 'ERR_QMP_GREETING_TIMEOUT';
  override readonly exitCode: ExitCode = EXIT.refused;
  readonly address: string;
  readonly timeoutMs: number;

  constructor(address: string, timeoutMs: number) {
    super(`expected a QMP greeting from ${address} within ${timeoutMs} ms, got not one byte`, {
      remedy:
        'QEMU serves one client per monitor: give it a second "-qmp unix:PATH,server=on,wait=off" and use that one',
    });
    this.address = address;
    this.timeoutMs = timeoutMs;
  }
}

/**
 * The peer sent something that is not QMP. The connection is over: what follows in the stream cannot be trusted.
 * `tail` is the end of the raw text, at most 200 characters.
 */
export class QmpProtocolError extends QmpError {
  readonly code = 'ERR_QMP_PROTOCOL';
  override readonly exitCode: ExitCode = EXIT.refused;
  readonly tail: string;

  constructor(problem: string, raw: string, options: SlackwaterErrorOptions = {}) {
    const tail = raw.slice(-RAW_TAIL_LENGTH);
    super(`the peer does not speak QMP: ${problem}; last text: ${JSON.stringify(tail)}`, {
      remedy:
        'check that the address is a QMP monitor (-qmp), not a human monitor, guest agent or VNC socket',
      ...options,
    });
    this.tail = tail;
  }
}

/** The peer greeted, but `qmp_capabilities` did not succeed. `cause` says how. */
export class QmpNegotiationError extends QmpError {
  readonly code = 'ERR_QMP_NEGOTIATION';
  override readonly exitCode: ExitCode = EXIT.refused;
}

/** QEMU answered a command with an error. The connection is as good as before. */
export class QmpCommandError extends QmpError {
  readonly code = 'ERR_QMP_COMMAND';
  readonly command: string;
  /** `CommandNotFound`, `DeviceNotFound`, ...; `GenericError` for most. */
  readonly errorClass: string;
  /** QEMU's own words. For people: the text differs between versions. */
  readonly desc: string;

  constructor(command: string, errorClass: string, desc: string) {
    super(
      `QEMU refused ${command} (${errorClass}): ${desc}`,
      errorClass === 'CommandNotFound'
        ? { remedy: 'this QEMU lacks the command, or negotiation has not happened' }
        : {},
    );
    this.command = command;
    this.errorClass = errorClass;
    this.desc = desc;
  }
}

/**
 * No reply before the deadline. When `sent`, QEMU has the command and may still carry it out: ask for the state before
 * acting on this. When not `sent`, it never left this process. The connection stays up either way.
 */
export class QmpTimeoutError extends QmpError {
  readonly code = 'ERR_QMP_TIMEOUT';
  override readonly exitCode: ExitCode = EXIT.unknown;
  readonly command: string;
  readonly timeoutMs: number;
  readonly sent: boolean;

  constructor(command: string, timeoutMs: number, sent: boolean) {
    super(
      sent
        ? `no reply to ${command} within ${timeoutMs} ms; the command may still be carried out`
        : `${command} waited ${timeoutMs} ms behind other commands and was not sent`,
      {
        remedy: sent
          ? 'query the state before repeating the command'
          : 'the monitor is stuck on earlier commands; only commands out of band (executeOob) pass them',
      },
    );
    this.command = command;
    this.timeoutMs = timeoutMs;
    this.sent = sent;
  }
}

/**
 * The connection ended. `command` is the command that was waiting for its reply (QEMU may have carried it out), and
 * undefined where no command waited. All waiters of one connection get the same `cause`.
 */
export class QmpDisconnectedError extends QmpError {
  readonly code = 'ERR_QMP_DISCONNECTED';
  override readonly exitCode: ExitCode = EXIT.unknown;
  readonly command: string | undefined;

  constructor(address: string, cause: Error, command?: string) {
    super(
      command === undefined
        ? `the connection to ${address} ended: ${cause.message}`
        : `the connection to ${address} ended before the reply to ${command}: ${cause.message}`,
      { cause, remedy: 'connect again and query the state: the command in flight may have been carried out' },
    );
    this.command = command;
  }
}

/** Where a client is in its life. Each state is entered once, in this order; a failed connect goes straight to closing. */
export type QmpRunState = 'connecting' | 'running' | 'closing' | 'closed';

/** The client was asked for something that its present state rules out. Nothing was sent. */
export class QmpStateError extends QmpError {
  readonly code = 'ERR_QMP_STATE';
  readonly state: QmpRunState;

  constructor(message: string, state: QmpRunState, options: SlackwaterErrorOptions = {}) {
    super(message, options);
    this.state = state;
  }
}
