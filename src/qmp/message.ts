// SPDX-License-Identifier: Apache-2.0
// The messages of the QMP wire format: what a line from the peer means, and how a command is written.

import { messageOf } from '../common/index.ts';
import { QmpProtocolError } from './errors.ts';
import { isQmpObject, parseJsonLossless, stringifyJsonLossless } from './json.ts';
import type { QmpObject, QmpValue } from './json.ts';

/** What the peer said of itself when the connection opened. */
export interface QmpGreeting {
  readonly version: {
    readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
    /** The packager's text, such as "Debian 1:10.0.2+ds-2"; often empty. */
    readonly package: string;
  };
  /** Protocol capabilities on offer, such as "oob". */
  readonly capabilities: readonly string[];
}

export type QmpIncoming =
  | { readonly kind: 'greeting'; readonly greeting: QmpGreeting }
  | { readonly kind: 'return'; readonly id: QmpValue | undefined; readonly value: QmpValue }
  | {
      readonly kind: 'error';
      readonly id: QmpValue | undefined;
      readonly errorClass: string;
      readonly desc: string;
    }
  | {
      readonly kind: 'event';
      readonly name: string;
      readonly data: QmpObject;
      readonly timestampUs: number;
    };

/**
 * Reads one line of the peer's.
 * @throws QmpProtocolError when it is not JSON or not a message of QMP
 */
export function parseMessage(line: string): QmpIncoming {
  let message: QmpValue;
  try {
    message = parseJsonLossless(line);
  } catch (error) {
    throw new QmpProtocolError(`not JSON (${messageOf(error).slice(0, 120)})`, line, { cause: error });
  }
  if (!isQmpObject(message)) throw new QmpProtocolError('not a JSON object', line);
  const incoming =
    parseReply(message) ??
    parseEvent(message) ??
    ('QMP' in message ? parseGreeting(message['QMP']) : undefined);
  if (incoming === undefined) throw new QmpProtocolError('neither greeting, reply nor event', line);
  return incoming;
}

function parseReply(message: QmpObject): QmpIncoming | undefined {
  const id = message['id'];
  const value = message['return'];
  // `return` may well be false, 0 or "": only its absence counts.
  if (value !== undefined) return { kind: 'return', id, value };
  const error = message['error'];
  if (!isQmpObject(error)) return undefined;
  const { class: errorClass, desc } = error;
  if (typeof errorClass !== 'string' || typeof desc !== 'string') return undefined;
  return { kind: 'error', id, errorClass, desc };
}

function parseEvent(message: QmpObject): QmpIncoming | undefined {
  const { event: name, data = {}, timestamp } = message;
  if (typeof name !== 'string' || !isQmpObject(data)) return undefined;
  return { kind: 'event', name, data, timestampUs: timestampUs(timestamp) };
}

/** NaN when the peer could not read its clock (it says -1) or gave no time: an event is worth having without one. */
function timestampUs(timestamp: QmpValue | undefined): number {
  if (!isQmpObject(timestamp)) return NaN;
  const { seconds, microseconds } = timestamp;
  if (typeof seconds !== 'number' || typeof microseconds !== 'number' || seconds < 0) return NaN;
  return seconds * 1_000_000 + microseconds;
}

function parseGreeting(body: QmpValue | undefined): QmpIncoming | undefined {
  if (!isQmpObject(body) || !isQmpObject(body['version'])) return undefined;
  const { qemu, package: packageName } = body['version'];
  if (!isQmpObject(qemu)) return undefined;
  const { major, minor, micro } = qemu;
  if (typeof major !== 'number' || typeof minor !== 'number' || typeof micro !== 'number') return undefined;
  const offered = body['capabilities'];
  const capabilities = Array.isArray(offered)
    ? (offered as readonly QmpValue[]).filter((item) => typeof item === 'string')
    : [];
  return {
    kind: 'greeting',
    greeting: {
      version: {
        qemu: { major, minor, micro },
        package: typeof packageName === 'string' ? packageName : '',
      },
      capabilities,
    },
  };
}

/** One command as a line, with its line end. @throws TypeError when the arguments cannot be JSON */
export function formatCommand(id: string, command: string, args: object | undefined, oob: boolean): string {
  const message = { [oob ? 'exec-oob' : 'execute']: command, arguments: args, id };
  return `${stringifyJsonLossless(message)}\n`;
}
